"""Guardrails: detectors, policies that name them, the stream scanner, and the capture of what was asked and answered."""
