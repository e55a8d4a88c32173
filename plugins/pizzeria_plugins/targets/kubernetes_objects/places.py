"""Where things are in the image of the service, which `container_image` describes."""

from __future__ import annotations

from pizzeria_plugins.targets.container_image.dockerfile import HOME, PAYLOAD, PORT, PYTHON, SCRATCH, STATE, USER

__all__ = ["PAYLOAD", "PORT", "PROBE", "PYTHON", "SCRATCH", "STATE", "STORE", "USER"]

PROBE = str(HOME / "healthy.py")
"""Looks at the bundle too: a pod with another one is never ready."""
STORE = str(HOME / "store")
"""The run that a monitor's image brings along."""
