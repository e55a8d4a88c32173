"""What the objects of a deployment are called, and the labels by which they are found again."""

from __future__ import annotations

from dataclasses import dataclass

from pizzeria.errors import DeploymentError
from pizzeria_plugins.targets.kubernetes_objects.options import Options

Track = str
"""`stable`: what serves; `canary`: what is staged beside it."""

MANAGER = "pizzeria"
TRACK = "pizzeria/track"
SHA256 = "pizzeria/bundle-sha256"
TEMPLATE = "pizzeria/template"
"""Annotation of pods: a hash of what they were made from, to tell new pods from old ones."""
SECRETS = "pizzeria/secrets-version"
"""Annotation of pods: the version of the Secret that they have read, so that a new one renews them."""
_LONGEST = 40


@dataclass(frozen=True)
class Identity:
    """Names and labels of one deployment on one track."""

    service: str
    track: Track = "stable"

    @property
    def suffix(self) -> str:
        return "" if self.track == "stable" else f"-{self.track}"

    @property
    def name(self) -> str:
        return f"{self.service}{self.suffix}"

    @property
    def owned(self) -> dict[str, str]:
        """Labels that all objects of the deployment have, and no others."""
        return {"app.kubernetes.io/instance": self.service, "app.kubernetes.io/managed-by": MANAGER}

    def labels(self, component: str, sha256: str = "") -> dict[str, str]:
        """All labels of an object."""
        version = {"app.kubernetes.io/version": sha256[:12]} if sha256 else {}
        return {
            "app.kubernetes.io/name": self.service,
            **self.owned,
            "app.kubernetes.io/component": component,
            "app.kubernetes.io/part-of": MANAGER,
            **version,
            TRACK: self.track,
        }

    @property
    def selector(self) -> dict[str, str]:
        """Labels that choose the pods that serve; they never change."""
        return {
            "app.kubernetes.io/instance": self.service,
            "app.kubernetes.io/component": "service",
            TRACK: self.track,
        }


def identity_of(name: str, options: Options, track: Track = "stable") -> Identity:
    """Names of the deployment of a spec.

    Raises:
        DeploymentError: the spec's name cannot be a Service's.

    Example:
        >>> identity_of("room_types", Options(image="rooms:1"), "canary").name
        'room-types-canary'
    """
    service = options.service_name or name.replace("_", "-").rstrip("-")
    if len(service) > _LONGEST:
        raise DeploymentError(
            f"{service!r} is too long for the name of a Service and its pods; {_LONGEST} letters are left to it",
            hint="give a shorter one: deployment.service_name=...",
        )
    return Identity(service, track)
