"""What needs several capabilities: pipelines of notebooks now, Auto LLM and retraining later."""
