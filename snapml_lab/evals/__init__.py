"""Evaluation: held-out records asked through the gateway, scored, with intervals and paired comparisons."""
