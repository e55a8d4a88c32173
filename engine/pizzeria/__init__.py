"""Pizzeria: one YAML spec for the whole life of a machine-learning model."""
