"""Serving as a serverless function, whoever runs it: the service without BentoML, and the zip that holds it.

- `app`: the service as an ASGI app, opened in the function; the fronts of the providers call it.
- `release`: which releases can be a function, and what one is told.
- `packing`: the zip, from `packages` (what pip installs), `slimming` (what of it is left out) and `sources` (which
  modules of Pizzeria go in).
"""
