"""Serving: engines behind one interface, each a service job that listens on a Unix socket."""
