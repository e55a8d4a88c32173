"""Decides for each row whether it is for training, validation or the test; for tables of any size, through DuckDB."""

from pizzeria.splitting.assignment import Assigned, assign

__all__ = ["Assigned", "assign"]
