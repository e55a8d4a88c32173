"""`pizzeria torture`: tries to break what Pizzeria promises, on this machine, and counts what held.

Each promise is a module of this package, a trial (see `pizzeria.torture.trial`), named in `TRIALS`. A trial works with
real processes, files, signals and sockets in a folder of its own; what it cannot try here it says, and counts as
nothing.
"""

TRIALS = (
    "specs",
    "archives",
    "gates",
    "flips",
    "ledger",
    "many",
    "writes",
    "kills",
    "disk_full",
    "state",
    "secrets",
    "poison",
    "soak",
)
"""Modules of this package, in the order in which they run: the quick ones first."""
