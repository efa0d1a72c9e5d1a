"""Model versions: what was learnt, from what, with which evidence."""
