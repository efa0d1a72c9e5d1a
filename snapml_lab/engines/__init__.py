"""Engines: what a model answers by, one small module each behind one interface, and the service jobs they run as."""
