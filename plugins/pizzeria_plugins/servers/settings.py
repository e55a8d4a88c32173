"""What a service is told by its environment."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pizzeria.errors import DeploymentError

if TYPE_CHECKING:
    from pizzeria.inference.contract import Limits

_BUNDLE = "PIZZERIA_BUNDLE"
_SETTINGS = "PIZZERIA_SERVICE"
_CORES_OF_WORKER = 4
_PLACES_OF_CORE = 3
"""One is at work and two wait: a core is never idle, and the last to be let in waits for two others alone."""


@dataclass(frozen=True)
class Settings:
    """The bundle, the limits and the prediction log of one service."""

    bundle: str
    """Absolute path of the bundle, a folder or a zip."""
    max_body_mb: float
    max_megapixels: float
    max_rows: int
    max_concurrency: int | None
    """Of the whole service; each worker takes its share. None: from the machine."""
    timeout_s: float
    workers: int | None = None
    """Processes; None: from the machine."""
    rows: bool = False
    """Whether rows are served, and not photos."""
    parallel: int | None = None
    threads: int = 1
    formats: list[str] = field(default_factory=lambda: ["jpeg", "png", "webp"])
    keys_from: str | None = None
    """Environment variable that holds the API keys; the keys themselves are no settings."""
    cors: list[str] = field(default_factory=list)
    hosts: list[str] | None = None
    """Names that the service goes by; None: every name."""
    pages: bool = True
    metrics: bool = True
    rooms: str | None = None
    """Absolute path of the bundle that tells rooms apart, for listings."""
    room_prior: dict[str, dict[str, float]] = field(default_factory=dict)
    log: str | None = "sqlite"
    """Prediction log plugin."""
    log_options: dict[str, Any] = field(default_factory=dict)
    log_folder: str = "."
    log_photos: bool = False
    log_keep: str | None = None
    """How long records are kept: 12h, 90d; None for ever."""
    log_redact: list[str] = field(default_factory=list)
    feedback: bool = True
    """Whether `/feedback` is there."""
    public_keys: list[str] = field(default_factory=list)
    """Absolute paths of keys, one of which must have signed the bundle; none: nothing is asked."""
    signatures: str | None = None
    """Absolute folder of the signatures."""
    platform: str | None = None
    """Name of the platform of which the service is a function; one process then, which speaks no HTTP itself."""

    @property
    def limits(self) -> Limits:
        from pizzeria.inference.contract import Limits
        from pizzeria.inference.photos import FORMATS

        formats = tuple(name for name in FORMATS if name.lower() in self.formats)
        return Limits(
            int(self.max_body_mb * 1e6),
            self.max_megapixels,
            self.max_rows,
            formats,
            explain_s=min(3.0, self.timeout_s / 2),
        )

    @property
    def log_keep_time(self) -> timedelta | None:
        if self.log_keep is None:
            return None
        return timedelta(**{{"h": "hours", "d": "days"}[self.log_keep[-1]]: int(self.log_keep[:-1])})

    @property
    def processes(self) -> int:
        """Worker processes.

        Photos keep four cores busy from one process: most of the work is done without Python's lock. Rows hold it for
        most of the time, so that only processes share the cores.
        """
        from pizzeria.inference.predictor import usable_cores

        return self.workers or max(1, usable_cores() // (1 if self.rows else _CORES_OF_WORKER))

    @property
    def concurrency(self) -> int:
        """Requests that the whole service lets in at once."""
        from pizzeria.inference.predictor import usable_cores

        return self.max_concurrency or _PLACES_OF_CORE * usable_cores()

    @property
    def concurrency_of_worker(self) -> int:
        return math.ceil(self.concurrency / self.processes)

    @property
    def parallel_of_worker(self) -> int:
        from pizzeria.inference.predictor import usable_cores

        return min(self.concurrency_of_worker, self.parallel or max(1, usable_cores() // self.processes))

    def environment(self) -> dict[str, str]:
        """The two variables that say all this."""
        values = asdict(self)
        return {_BUNDLE: values.pop("bundle"), _SETTINGS: json.dumps(values, sort_keys=True)}

    @staticmethod
    def of_environment(environment: Mapping[str, str]) -> Settings:
        """The inverse of `environment`.

        Raises:
            DeploymentError: a variable is absent or makes no sense.

        Example:
            >>> here = Settings("/b", 10, 40, 100, 16, 30)
            >>> Settings.of_environment(here.environment()) == here
            True
        """
        try:
            return Settings(bundle=environment[_BUNDLE], **json.loads(environment[_SETTINGS]))
        except KeyError as error:
            raise DeploymentError(
                f"the environment lacks {error.args[0]}", hint="start the service with `pizzeria serve` or `deploy`"
            ) from error
        except (TypeError, ValueError) as error:
            raise DeploymentError(f"{_SETTINGS} in the environment is no settings of a service: {error}") from error
