"""`data.leakage`: what must not be on two sides of the split."""

from __future__ import annotations

from pizzeria.spec.section import Section


class Leakage(Section):
    """What must not be on two sides of the split, and what is allowed to be, with the reason."""
