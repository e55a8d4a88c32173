"""Sweeps: one spec in many variants, chosen by Hydra's sweepers, run by its launchers, compared by one metric.

- `sweeping`: a sweep from the command line to its end; `by_hydra`: what Hydra does of it
- `space`: what can be checked before the first member runs
- `member`, `objective`: one member, and what it is worth on the validation split
- `records`: what a sweep leaves on disk, to be gone on with after a kill
- `description`, `comparing`: runs as members, and members in order
- `best`, `page`, `parallel`: the spec of the best, and the page with parallel coordinates
"""
