"""The two stores and the blobs: what is declared (catalog), what happened (ledger), and large things (blobs)."""
