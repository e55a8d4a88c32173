"""A release as it will be on another machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

from pizzeria.contracts import Release


def elsewhere(release: Release, payload: PurePosixPath, state: PurePosixPath, python: str) -> Release:
    """The release with the paths that it will have where `write_payload`'s folder lies at `payload`.

    Signatures were checked before it is sent; over there, the sha256 of the bundle is.

    Args:
        payload: Absolute path of the payload there.
        state: Absolute path of a folder there that the service may write to; file-based prediction logs go below it.
        python: The interpreter there.

    Example:
        >>> import tempfile
        >>> from pizzeria.spec.stages import Serving
        >>> here = Release("rooms", Path("b"), "ab", Serving(), None, Path("/l"), Path("/s"))
        >>> there = elsewhere(here, PurePosixPath("/opt/rooms"), PurePosixPath("/var/rooms"), "/opt/env/bin/python")
        >>> str(there.bundle), str(there.log_folder)
        ('/opt/rooms/bundle', '/var/rooms/predictions')
    """
    serving = release.serving
    if serving.verification.rooms is not None:
        verification = serving.verification.model_copy(update={"rooms": str(payload / "rooms")})
        serving = serving.model_copy(update={"verification": verification})
    return replace(
        release,
        bundle=Path(payload / "bundle"),
        serving=serving,
        log_folder=Path(state / "predictions"),
        state=Path(state),
        python=python,
        public_keys=(),
        signatures=None,
    )
