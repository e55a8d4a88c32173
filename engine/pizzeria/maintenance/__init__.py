"""Phase 10: whether a live model needs a successor, and whether the successor may replace it."""
