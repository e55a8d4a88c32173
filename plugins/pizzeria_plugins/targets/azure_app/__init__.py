"""Parts of the target `azure_functions`: the function app's files, its entry, and Azure's API."""
