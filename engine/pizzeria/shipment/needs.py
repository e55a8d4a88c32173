"""What a release needs of the place where it will serve: a lock, secrets, and maybe files that stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pizzeria import registry
from pizzeria.contracts import Release
from pizzeria.errors import DeploymentError
from pizzeria.spec.monitoring import Alert


def _log(release: Release) -> tuple[Any, Any]:
    """The prediction log's plugin and its options; None and None where none is kept."""
    log = release.serving.log
    if log is None:
        return None, None
    plugin = registry.load("prediction_logs", log.use)
    return plugin, plugin.Options() if log.options is None else log.options


def log_lock(release: Release) -> str:
    """The suffix of the lock that has what the prediction log needs: `-postgresql`, `-parquet` or nothing."""
    log = release.serving.log
    return f"-{log.use}" if log is not None and log.use in ("postgresql", "parquet") else ""


def keeps_local_files(release: Release) -> bool:
    """Whether the prediction log lies in files of the machine that serves."""
    plugin, options = _log(release)
    asked = getattr(plugin, "local_files", None)
    return bool(asked(options)) if asked is not None else False


def secret_names(release: Release, *, watching: bool = False) -> tuple[str, ...]:
    """Environment variables that the service needs, and whose values nobody but the service may see.

    Args:
        watching: Also those of the alert channels, where the schedule has something that tells them.
    """
    plugin, options = _log(release)
    asked = getattr(plugin, "secrets", None)
    names = [*([release.serving.keys_from] if release.serving.keys_from else []), *(asked(options) if asked else ())]
    if watching and (release.schedule.monitor is not None or release.schedule.maintain is not None):
        names += [name for alert in release.alerts for name in _alert_secrets(alert)]
    return tuple(dict.fromkeys(names))


def _alert_secrets(alert: Alert) -> Sequence[str]:
    plugin = registry.load("alerts", alert.use)
    asked = getattr(plugin, "secrets", None)
    return tuple(asked(plugin.Options() if alert.options is None else alert.options)) if asked is not None else ()


def values_of(names: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
    """The values of secrets, from the environment of the command that deploys.

    Raises:
        DeploymentError: some are not set; names them.

    Example:
        >>> values_of(["KEYS"], {"KEYS": "abc", "HOME": "/root"})
        {'KEYS': 'abc'}
    """
    absent = [name for name in names if not environment.get(name)]
    if absent:
        raise DeploymentError(
            f"the service needs {', '.join(absent)}, and the environment of this command lacks it",
            hint="; ".join(f"export {name}=..." for name in absent),
        )
    return {name: environment[name] for name in names}
