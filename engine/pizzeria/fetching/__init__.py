"""Data at any address that fsspec knows, brought here once: a cache by content, resumed where it was cut off."""
