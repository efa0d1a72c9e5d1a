"""Fine-tuning: LoRA on chat records, the loss on answers only, checkpoints, and an adapter as a model version."""
