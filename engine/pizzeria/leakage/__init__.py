"""Looks for what is on two sides of a split and must not be, and for columns that give the target away."""

from pizzeria.leakage.finding import Finding, Pair

__all__ = ["Finding", "Pair"]
