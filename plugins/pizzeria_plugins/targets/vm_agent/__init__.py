"""What runs on the machine while a command of the target `vm` talks to it; sent along each time, and left nowhere.

It needs Python's standard library alone. Its modules, in the order in which they are sent, are in `MODULES`.
"""

MODULES = (
    "conversation",
    "files",
    "probing",
    "supervision",
    "front",
    "environments",
    "record",
    "takeover",
    "operations",
)
