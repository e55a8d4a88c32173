"""What Pizzeria's service is measured against: the same bundle, served as one would by hand with each framework."""
