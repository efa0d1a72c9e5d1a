"""Where a job's shim runs. ``local`` now; others answer to the same three words: start, alive, cancel."""
