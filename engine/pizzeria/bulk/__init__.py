"""Predictions of millions of photos or rows: Parquet in, Parquet out, in parts that any runner may make."""

from pizzeria.bulk.predicting import Done, predict_in_bulk

__all__ = ["Done", "predict_in_bulk"]
