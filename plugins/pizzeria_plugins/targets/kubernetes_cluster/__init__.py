"""Speaking to a cluster: its API by kubectl or by the Python client, and what is waited for there."""
