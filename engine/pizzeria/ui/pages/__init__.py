"""The pages: each module has functions from a request to an answer."""
