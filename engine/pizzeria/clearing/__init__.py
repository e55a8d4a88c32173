"""`pizzeria gc`: removes what killed processes left, and what nothing points at any more.

leftovers     one thing that may go, and how it goes
temporaries   files and folders under a temporary name, wherever Pizzeria writes
stages        stages that were cut off, and complete ones that no run has
versions      versions of collected data that no run learnt from
caches        what can be fetched or made again, when that is asked for

Nothing goes that a living process holds (`pizzeria.holding`), that a run points at, or that a deployment or a way back
needs. So it is safe beside commands at work.
"""

from pizzeria.clearing.clear import Cleared, clear
from pizzeria.clearing.leftovers import Leftover

__all__ = ["Cleared", "Leftover", "clear"]
