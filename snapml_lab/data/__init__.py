"""Datasets: tables snapshotted by content, so that a result can say what it was learnt from."""
