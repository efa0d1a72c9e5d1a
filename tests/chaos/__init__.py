"""The chaos suite: faults at drawn moments, and the promises checked from evidence outside of the product."""
