"""What the targets `azure_functions` and `google_functions` have in common."""
