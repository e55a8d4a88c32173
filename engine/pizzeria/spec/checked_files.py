"""Hydra's way to a spec's files: each is checked by `pizzeria.spec.reading` before OmegaConf sees it."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pizzeria.spec.reading import Read, read

SCHEME = "checked"
EXPERIMENT = "experiment"
"""The config group whose choices are whole specs."""
_HEADER = 512


@dataclass
class Reading:
    """The files of one spec.

    Attributes:
        files: What each holds, in the order in which they were read first.
        paths: Of the file of each name that Hydra has for one, such as `model/timm_probe`.
        defaults_alone: Whether Hydra is only to see which files there are, and none of their values.
    """

    files: dict[Path, Read] = field(default_factory=dict)
    paths: dict[str, Path] = field(default_factory=dict)
    defaults_alone: bool = False


_READING: ContextVar[Reading | None] = ContextVar("_READING", default=None)


@cache
def checked_files() -> Any:
    """A class of Hydra's file sources; of `checked://a/file.yaml`, it is that file alone, as an experiment."""
    from hydra._internal.core_plugins.file_config_source import FileConfigSource
    from hydra.core.object_type import ObjectType
    from hydra.plugins.config_source import ConfigResult
    from omegaconf import OmegaConf

    class CheckedFiles(FileConfigSource):
        @staticmethod
        def scheme() -> str:
            return SCHEME

        def file_of(self, config_path: str) -> Path:
            root = Path(self.path)
            if root.is_file():
                alone = config_path in (f"{EXPERIMENT}/{root.stem}", f"{EXPERIMENT}/{root.name}")
                return root if alone else root / "absent"
            return root / self._normalize_file_name(config_path) if _inside(config_path) else root / "absent"

        def load_config(self, config_path: str) -> ConfigResult:
            path, reading = self.file_of(config_path), files_read()
            if path not in reading.files or not reading.defaults_alone:
                reading.files[path] = read(path)
            found = reading.files[path]
            reading.paths[config_path] = path
            # OmegaConf is given the very text that was checked: on disk it may be another one by now.
            data = yaml.load(found.text, Loader=_loader()) or {}  # noqa: S506 - a SafeLoader
            if reading.defaults_alone:
                data = {name: data[name] for name in ("defaults",) if name in data}
            config = OmegaConf.create(data)
            header = self._get_header_dict(found.text[:_HEADER])
            if config_path.startswith(f"{EXPERIMENT}/"):  # a whole spec, with or without Hydra's header
                header["package"] = header["package"] or "_global_"
            return ConfigResult(self.provider, f"{SCHEME}://{path}", config, header)

        def is_config(self, config_path: str) -> bool:
            return self.file_of(config_path).is_file()

        def is_group(self, config_path: str) -> bool:
            if Path(self.path).is_file():
                return config_path in ("", EXPERIMENT)
            return _inside(config_path) and super().is_group(config_path)

        def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
            root = Path(self.path)
            if root.is_file():
                return [root.stem] if config_path == EXPERIMENT else []
            return super().list(config_path, results_filter) if _inside(config_path) else []

    return CheckedFiles


def begin() -> None:
    """Forget what was read so far in this thread: a spec is composed."""
    _READING.set(Reading())


def files_read() -> Reading:
    """What was read of the spec that is composed in this thread."""
    found = _READING.get()
    if found is None:
        found = Reading()
        _READING.set(found)
    return found


@cache
def _loader() -> Any:
    """OmegaConf's loader of YAML, on the parser in C, which takes a tenth of the time."""
    from omegaconf._utils import get_yaml_loader

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        yaml_implicit_resolvers = get_yaml_loader().yaml_implicit_resolvers

    return Loader


def _inside(config_path: str) -> bool:
    """Whether the name of a file or folder stays within the folder of config groups."""
    return not Path(config_path).is_absolute() and ".." not in Path(config_path).parts
