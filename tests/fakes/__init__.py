"""Stand-ins for what a machine may not have."""
