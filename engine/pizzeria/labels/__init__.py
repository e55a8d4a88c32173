"""Truth that comes after the prediction: kept, joined, asked for where it is worth most, and suggested."""
