"""A first spec for data that somebody points at: `pizzeria init`."""
