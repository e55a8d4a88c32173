"""Parts of the target `google_functions`: the function's files, and Google's API."""
