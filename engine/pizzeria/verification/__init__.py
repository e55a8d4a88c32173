"""`pizzeria verify`: what each listing of a table declares, against what its photos show.

`listings` reads the table, `judge` asks the bundle, `journal` keeps what was judged until all is, and `results` writes.
"""

from pizzeria.verification.judge import Judge, verify_listings
from pizzeria.verification.listings import Listing, read_listings
from pizzeria.verification.results import OUTPUTS, Verified, verdict_rows, verify_to

__all__ = ["OUTPUTS", "Judge", "Listing", "Verified", "read_listings", "verdict_rows", "verify_listings", "verify_to"]
