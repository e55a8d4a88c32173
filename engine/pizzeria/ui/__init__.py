"""`pizzeria ui`: a local web application over the ledger, the runs and the monitoring history."""
