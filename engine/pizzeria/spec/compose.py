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
from pizzeria.errors import Fault, SpecError, interruptions_pass, nearest
from pizzeria.spec import lookups
from pizzeria.spec.checked_files import EXPERIMENT, SCHEME, begin, checked_files, files_read
from pizzeria.spec.reading import MAX_DEPTH, MAX_NODES, Lines, YamlPath, display, dotted, nesting, shown

_COMMAND_LINE = "command line"
_MAX_OVERRIDE = 20_000  # characters
_MAX_OVERRIDES = 100


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
        _count(_without_hydra(config), lambda: _origins(loader, prepared, typed))
        data = OmegaConf.to_container(config, resolve=True)
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
        _leave_hydra_alone(loader, prepared)
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
    if len(overrides) > _MAX_OVERRIDES:
        message = f"{len(overrides):,} overrides; there may be {_MAX_OVERRIDES}"
        raise SpecError([Fault("", message, "write them into a file", _COMMAND_LINE)])
    return [f"{EXPERIMENT}={file.stem}", *overrides] if file else list(overrides)


@contextmanager
def _told(loader: Any, typed: Sequence[str]) -> Iterator[None]:
    """Tell Hydra's and OmegaConf's errors as faults of the spec."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        with interruptions_pass():
            yield
    except (HydraException, OmegaConfBaseException, ValueError) as error:  # ValueError: of odd defaults, huge numbers
        raise SpecError([_hydra_fault(error, loader, typed)]) from None
    except RecursionError:
        hint = "see whether a file names itself in its defaults, or brackets are nested without an end"
        raise SpecError([Fault("", "it leads deeper and deeper", hint, _last_read())]) from None


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
        with interruptions_pass():
            parsed = OverridesParser.create().parse_overrides(list(overrides))
            return [list(job) for job in BasicSweeper.split_arguments(parsed, max_batch_size=None)[0]]
    except HydraException as error:
        raise SpecError([Fault("", _first_line(error), "write key=value1,value2", _COMMAND_LINE)]) from None


def _loader(file: Path | None) -> Any:
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
    from hydra.core.plugins import Plugins

    begin()
    Plugins.instance().register(checked_files())
    paths = ConfigSearchPathImpl()
    paths.append("hydra", "pkg://hydra.conf")
    if file is not None:
        if not file.is_file():
            raise SpecError([Fault("", f"there is no file {file}", "give the path of a YAML spec", _COMMAND_LINE)])
        paths.append("file", f"{SCHEME}://{file.resolve()}")
    own = Path.cwd() / "conf"
    if own.is_dir() and own.resolve() != shipped_conf().resolve():
        paths.append("own", f"{SCHEME}://{own}")
    paths.append("main", f"{SCHEME}://{shipped_conf()}")
    paths.append("schema", "structured://")
    return ConfigLoaderImpl(paths)


def _prepare(override: str, loader: Any) -> str:
    """Let `training.max_epochs=5` work whether or not a file mentions the key: Hydra's `++` adds or overrides."""
    key = override.split("=", 1)[0]
    wrong = lookups.fault_in(override)
    if wrong is None and len(override) > _MAX_OVERRIDE:
        wrong = f"{len(override):,} characters; an override has at most {_MAX_OVERRIDE:,}", "write it into a file"
    if wrong is None and nesting(override.replace("(", "[").replace(")", "]")) > MAX_DEPTH:
        wrong = f"nested more than {MAX_DEPTH} deep", "flatten it"
    if wrong is not None:
        raise SpecError([Fault(shown(key), *wrong, _COMMAND_LINE)])
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

    origins, reading = Origins(), files_read()
    reading.defaults_alone = True
    defaults = loader.compute_defaults_list("config", list(prepared), RunMode.RUN).defaults
    reading.defaults_alone = False
    for default in defaults:
        path = reading.paths.get(default.config_path or "")
        if path is not None:
            package = tuple(part for part in (default.package or "").split(".") if part)
            origins.files.append((display(path), package, reading.files[path].lines))
    for text in typed:
        key = text.split("=", 1)[0].lstrip("+~")
        origins.overrides[tuple(int(part) if part.isdigit() else part for part in key.split("."))] = shown(text)
    return origins


def _count(config: Any, origins: Callable[[], Origins]) -> None:
    """See that what the spec looks up can be written out; OmegaConf would just begin."""
    from omegaconf import OmegaConf

    raw = OmegaConf.to_container(config, resolve=False)
    assert isinstance(raw, dict)
    try:
        lookups.count({str(key): value for key, value in raw.items()}, MAX_NODES)
    except lookups.LookupFault as fault:
        found = Fault(shown(dotted(fault.path)), fault.message, fault.hint, *origins().locate(fault.path))
        raise SpecError([found]) from None


def _leave_hydra_alone(loader: Any, prepared: Sequence[str]) -> None:
    """A file of a spec cannot put its content where Hydra looks for what it is to do."""
    from hydra.types import RunMode

    for default in loader.compute_defaults_list("config", list(prepared), RunMode.MULTIRUN).defaults:
        path = files_read().paths.get(default.config_path or "")
        if path is not None and f"{default.package}.".startswith("hydra."):
            fault = Fault("hydra", "a spec cannot configure Hydra itself", "remove its package", display(path), 1)
            raise SpecError([fault])


def _hydra_fault(error: Exception, loader: Any, typed: Sequence[str]) -> Fault:
    from hydra.errors import MissingConfigException

    if isinstance(error, MissingConfigException):
        group, _, choice = str(error.missing_cfg_file or "").rpartition("/")
        options = [str(name) for name in error.options or ()]
        if choice and (options or group):
            return Fault(group, f"there is no {choice!r}", nearest(choice, options), *_written(choice, typed))
    for text in typed:
        key = text.split("=", 1)[0]
        if f"'{key}'" in str(error) and "=" in text:
            groups = loader.repository.get_group_options("", None)
            return Fault(key, _first_line(error), nearest(key, groups), f"{_COMMAND_LINE} ({shown(text)})")
    where = str(getattr(error, "full_key", None) or "")
    if where:
        place = _origins(loader, [_prepare(text, loader) for text in typed], typed).locate(tuple(where.split(".")))
        return Fault(shown(where), _first_line(error), "", *place)
    of_file = f"{EXPERIMENT}/" in str(error) or " in defaults" in str(error) or not typed
    return Fault("", _first_line(error), "", _last_read() if of_file else _COMMAND_LINE)


def _written(word: str, typed: Sequence[str]) -> tuple[str, int]:
    """Where a word stands that Hydra could not follow: the command line, or a line of the file that was read last."""
    if not any(word in text for text in typed):
        for path, found in reversed(files_read().files.items()):
            for number, line in enumerate(found.text.splitlines(), 1):
                if word in line:
                    return display(path), number
    return _COMMAND_LINE, 0


def _last_read() -> str:
    """The spec's own file, or else the one that was read last."""
    reading = files_read()
    own = [path for name, path in reading.paths.items() if name.startswith(f"{EXPERIMENT}/")]
    path = next(iter([*own, *reversed(reading.files)]), None)
    return _COMMAND_LINE if path is None else display(path)


def _first_line(error: BaseException) -> str:
    text = str(error) or str(error.__cause__ or type(error).__name__)
    return shown(text.strip().splitlines()[0], 300)
