"""Data at any address that fsspec knows, brought here once: a cache by content, resumed where it was cut off.

A source's option that may be a path or an address has the type `Address`; `local` brings what lies there here, and
`state` is what the source's `inputs` return for it.
"""

from pizzeria.fetching.address import Address, is_remote
from pizzeria.fetching.fetch import local, state

__all__ = ["Address", "is_remote", "local", "state"]
