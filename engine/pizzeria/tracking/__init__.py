"""A run told to its trackers: curves while it trains, then what came of it. Nothing of it can stop a run."""

from pizzeria.tracking.following import follow

__all__ = ["follow"]
