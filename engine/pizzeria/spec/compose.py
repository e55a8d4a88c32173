"""Composes a spec with Hydra: the shipped `conf/`, the user's own `./conf/` before it, and the command line.

Hydra reads every file through `CheckedFiles`, so that `pizzeria.spec.reading` checks it before OmegaConf sees it, and
the line of every key is at hand when a later check finds a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pizzeria
from pizzeria.errors import Fault, SpecError, nearest
from pizzeria.spec.reading import Lines, YamlPath, display, foreign_resolvers, read_lines

_COMMAND_LINE = "command line"
_FILE_GROUP = "experiment"


def shipped_conf() -> Path:
    """The folder of the shipped config groups: `pizzeria/conf` in a wheel, `conf` in a checkout."""
    package = Path(pizzeria.__file__).parent
    return next(path for path in (package / "conf", package.parents[1] / "conf") if path.is_dir())


@dataclass
class Origins:
    """Where each value of a composed spec was written: the last file in order of merging wins."""

    files: list[tuple[str, YamlPath, Lines]] = field(default_factory=list)
    """File as shown, where its content lands in the spec, and the line of each of its paths."""
    overrides: dict[YamlPath, str] = field(default_factory=dict)
    """Paths set on the command line, with the override as typed."""

    def locate(self, path: YamlPath) -> tuple[str, int]:
        """File and line of the nearest written thing at or above a path.

        Example:
            >>> origins = Origins([("a.yaml", (), {("model",): 3, ("model", "use"): 4})])
            >>> origins.locate(("model", "use")), origins.locate(("model", "depth"))
            (('a.yaml', 4), ('a.yaml', 3))
        """
        for length in range(len(path), 0, -1):
            head = path[:length]
            if head in self.overrides:
                return f"{_COMMAND_LINE} ({self.overrides[head]})", 0
            for file, package, lines in reversed(self.files):
                if head[: len(package)] == package and head[len(package) :] in lines:
                    return file, lines[head[len(package) :]]
        return (self.files[-1][0], 0) if self.files else ("", 0)


@dataclass(frozen=True)
class Composed:
    """A spec as plain data, not yet checked against the models."""

    data: dict[str, Any]
    find_origins: Callable[[], Origins]

    @cached_property
    def origins(self) -> Origins:
        """Where each value was written; looked for only when a fault must be located."""
        return self.find_origins()


def compose(overrides: Sequence[str], file: Path | None = None) -> Composed:
    """Compose one spec.

    Args:
        overrides: Such as `experiment=amenities`, `model=timm_detector` or `training.max_epochs=5`; a key need not be
            in any file.
        file: A spec of the user's own, read as if it were an experiment.

    Raises:
        SpecError: a file or an override cannot be read, or a group or choice does not exist.
    """
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    for text in overrides:
        if is_of_hydra(text):
            fault = Fault(text.split("=", 1)[0], "this is of a sweep", "add -m, or leave it out", _COMMAND_LINE)
            raise SpecError([fault])
    loader = _loader(file)
    typed = _typed(overrides, file)
    with _told(loader, typed):
        prepared = [_prepare(override, loader) for override in typed]
        config = loader.load_configuration("config", prepared, run_mode=RunMode.RUN, from_shell=False)
        data = OmegaConf.to_container(_without_hydra(config), resolve=True)
    assert isinstance(data, dict)
    return Composed({str(key): value for key, value in data.items()}, lambda: _origins(loader, prepared, typed))


def compose_hydra(overrides: Sequence[str], file: Path | None = None) -> tuple[Any, Any]:
    """What Hydra itself is to do in a sweep: its section `hydra`, with sweeper and launcher, and the loader of it.

    Args:
        overrides: Of the spec and of Hydra; those that are swept over are left to the sweeper.
        file: As for `compose`.

    Raises:
        SpecError: as `compose` does.
    """
    from hydra.types import RunMode

    loader = _loader(file)
    typed = _typed(overrides, file)
    with _told(loader, typed):
        prepared = [_prepare(override, loader) for override in typed]
        config = loader.load_configuration("config", prepared, run_mode=RunMode.MULTIRUN, from_shell=False)
        return config.hydra, loader


def standing_choices() -> dict[str, str]:
    """The choice of each config group that stands where nobody says otherwise.

    Example:
        >>> standing_choices()["training"]
        'lightning'
    """
    from hydra.types import RunMode

    loader = _loader(None)
    with _told(loader, []):
        config = loader.load_configuration("config", [], run_mode=RunMode.RUN, from_shell=False)
    choices = config.hydra.runtime.choices
    return {str(name): choice for name, choice in choices.items() if choice and not str(name).startswith("hydra/")}


def is_of_hydra(override: str) -> bool:
    """Whether an override is about Hydra itself, and not about the spec.

    Example:
        >>> is_of_hydra("hydra/launcher=joblib"), is_of_hydra("++hydra.sweeper.n_trials=20"), is_of_hydra("name=a")
        (True, True, False)
    """
    return override.lstrip("+~").startswith(("hydra/", "hydra."))


def _typed(overrides: Sequence[str], file: Path | None) -> list[str]:
    return [f"{_FILE_GROUP}={file.stem}", *overrides] if file else list(overrides)


@contextmanager
def _told(loader: Any, typed: Sequence[str]) -> Iterator[None]:
    """Tell Hydra's and OmegaConf's errors as faults of the spec."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise SpecError([_hydra_fault(error, loader, typed)]) from None


def sweep(overrides: Sequence[str]) -> list[list[str]]:
    """Every combination of a sweep's values, as Hydra's own sweeper expands them.

    Example:
        >>> sweep(["training.seed=1,2", "model.depth=3"])
        [['training.seed=1', 'model.depth=3'], ['training.seed=2', 'model.depth=3']]
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        return [list(job) for job in BasicSweeper.split_arguments(parsed, max_batch_size=None)[0]]
    except HydraException as error:
        raise SpecError([Fault("", _first_line(error), "write key=value1,value2", _COMMAND_LINE)]) from None


def _loader(file: Path | None) -> Any:
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
    from hydra.core.plugins import Plugins

    Plugins.instance().register(_source_class())
    paths = ConfigSearchPathImpl()
    paths.append("hydra", "pkg://hydra.conf")
    if file is not None:
        if not file.is_file():
            raise SpecError([Fault("", f"there is no file {file}", "give the path of a YAML spec", _COMMAND_LINE)])
        paths.append("file", f"checked://{file.resolve()}")
    own = Path.cwd() / "conf"
    if own.is_dir() and own.resolve() != shipped_conf().resolve():
        paths.append("own", f"checked://{own}")
    paths.append("main", f"checked://{shipped_conf()}")
    paths.append("schema", "structured://")
    return ConfigLoaderImpl(paths)


def _source_class() -> Any:
    """Hydra's file source, with every file checked first; a path to one file serves it as an experiment."""
    from hydra._internal.core_plugins.file_config_source import FileConfigSource
    from hydra.core.object_type import ObjectType
    from hydra.plugins.config_source import ConfigResult

    class CheckedFiles(FileConfigSource):
        @staticmethod
        def scheme() -> str:
            return "checked"

        def file_of(self, config_path: str) -> Path:
            root = Path(self.path)
            if root.is_file():
                alone = config_path in (f"{_FILE_GROUP}/{root.stem}", f"{_FILE_GROUP}/{root.name}")
                return root if alone else root / "absent"
            return root / self._normalize_file_name(config_path)

        def load_config(self, config_path: str) -> ConfigResult:
            path = self.file_of(config_path)
            read_lines(path)
            found = FileConfigSource(self.provider, str(path.parent)).load_config(path.name)
            if config_path.startswith(
                f"{_FILE_GROUP}/"
            ):  # an experiment is a whole spec, with or without Hydra's header
                found.header["package"] = found.header["package"] or "_global_"
            return ConfigResult(self.provider, f"checked://{path}", found.config, found.header)

        def is_config(self, config_path: str) -> bool:
            return self.file_of(config_path).is_file()

        def is_group(self, config_path: str) -> bool:
            if Path(self.path).is_file():
                return config_path in ("", _FILE_GROUP)
            return super().is_group(config_path)

        def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
            root = Path(self.path)
            if root.is_file():
                return [root.stem] if config_path == _FILE_GROUP else []
            return super().list(config_path, results_filter)

    return CheckedFiles


def _prepare(override: str, loader: Any) -> str:
    """Let `training.max_epochs=5` work whether or not a file mentions the key: Hydra's `++` adds or overrides."""
    key = override.split("=", 1)[0]
    for resolver in foreign_resolvers(override):
        raise SpecError(
            [Fault(key, f"the resolver {resolver!r} is not allowed", "write the value itself", _COMMAND_LINE)]
        )
    if "=" not in override or key[:1] in "+~" or "@" in key or loader.repository.group_exists(key) or is_of_hydra(key):
        return override
    return f"++{override}"


def _without_hydra(config: Any) -> Any:
    from omegaconf import open_dict

    with open_dict(config):
        config.pop("hydra", None)
    return config


def _origins(loader: Any, prepared: Sequence[str], typed: Sequence[str]) -> Origins:
    from hydra.types import RunMode

    origins = Origins()
    defaults = loader.compute_defaults_list("config", list(prepared), RunMode.RUN).defaults
    for default in defaults:
        result = None if default.config_path is None else loader.repository.load_config(default.config_path)
        if result is None or not str(result.path).startswith("checked://"):
            continue
        path = Path(str(result.path).removeprefix("checked://"))
        package = tuple(part for part in (default.package or "").split(".") if part)
        origins.files.append((display(path), package, read_lines(path)))
    for text in typed:
        key = text.split("=", 1)[0].lstrip("+~")
        origins.overrides[tuple(int(part) if part.isdigit() else part for part in key.split("."))] = text
    return origins


def _hydra_fault(error: Exception, loader: Any, typed: Sequence[str]) -> Fault:
    from hydra.errors import MissingConfigException

    if isinstance(error, MissingConfigException):
        group, _, choice = str(error.missing_cfg_file or "").rpartition("/")
        options = [str(name) for name in error.options or ()]
        if choice and (options or group):
            return Fault(group, f"there is no {choice!r}", nearest(choice, options), _COMMAND_LINE)
    for text in typed:
        key = text.split("=", 1)[0]
        if f"'{key}'" in str(error) and "=" in text:
            groups = loader.repository.get_group_options("", None)
            return Fault(key, _first_line(error), nearest(key, groups), f"{_COMMAND_LINE} ({text})")
    return Fault("", _first_line(error), "", _COMMAND_LINE if typed else "")


def _first_line(error: BaseException) -> str:
    text = str(error) or str(error.__cause__ or type(error).__name__)
    return text.strip().splitlines()[0]
