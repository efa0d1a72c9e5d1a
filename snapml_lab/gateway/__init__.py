"""The gateway: one address for all deployments, with keys, usage and cost; a process of its own."""
