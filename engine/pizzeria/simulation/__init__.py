"""`pizzeria simulate`: what the cycle would have done with a history, under several policies."""
