"""Background jobs: a queue that moves itself, one shim a job, and files as the protocol between them."""
