"""Runs: parameters and metrics, and where each came from."""
