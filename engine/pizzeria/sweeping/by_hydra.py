"""What Hydra does of a sweep: its sweeper chooses members, its launcher runs them, both as its users know them.

There is no `hydra.main` here, because a spec is composed with checked files and checked against its plugins. So Hydra's
plugins are given a loader that hands each member's overrides through, and a member composes its spec from them itself.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pizzeria.errors import Fault, PizzeriaError, SpecError
from pizzeria.spec.compose import compose_hydra, is_of_hydra

_SETTABLE = ("hydra/sweeper", "hydra/launcher", "hydra.sweeper.", "hydra.launcher.")
_SPACE = ("hydra.sweeper.params", "hydra.sweeper.search_space")
_BROUGHT = {"hydra/sweeper=optuna", "hydra/launcher=joblib", "hydra/launcher=ray"}
"""What the extra `sweep` brings."""
_CODE = ("hydra._internal.core_plugins.", "hydra_plugins.", "optuna.samplers.")
"""What may be named as code: by Hydra's own plugins, and not by a spec."""


class Chosen:
    """Sweeper and launcher of one sweep.

    Args:
        typed: Overrides of the spec and of Hydra.
        file: The user's own file, where there is one.

    Raises:
        SpecError: something is set that cannot be, or would run code that a spec names.
    """

    def __init__(self, typed: Sequence[str], file: Path | None) -> None:
        for text in typed:
            key = text.split("=", 1)[0].lstrip("+~")
            if is_of_hydra(key) and not key.startswith(_SETTABLE):
                _refuse(key, "only sweeper and launcher of Hydra can be set", "hydra/sweeper=optuna, say")
            if key.startswith(_SPACE):
                _refuse(
                    key, "what is varied is written as keys of the spec", "training.seed=1,2 or =interval(1,9), say"
                )
        try:
            self.settings, self._loader = compose_hydra(typed, file)
        except SpecError as error:
            for key in {fault.path for fault in error.faults}:
                for text in _BROUGHT & set(typed):
                    if text.startswith(f"{key}="):
                        _refuse(key, f"{text} is not installed", "pip install 'pizzeria[sweep]'")
            raise
        self.typed = [text for text in typed if not is_of_hydra(text)]
        _check_code(self.settings)

    @property
    def optimises(self) -> bool:
        """Whether the sweeper looks for the best, and needs a metric of each member."""
        return "direction" in self.settings.sweeper

    @property
    def alone(self) -> bool:
        """Whether members run one after the other in this process."""
        return str(self.settings.launcher["_target_"]).endswith(".BasicLauncher")

    @property
    def strict(self) -> bool:
        """Whether too many failed members end the sweep, as `hydra.sweeper.max_failure_rate` above 0 asks for."""
        return bool(self.settings.sweeper.get("max_failure_rate", 0.0) > 0)

    @property
    def trials(self) -> int:
        return int(self.settings.sweeper.n_trials)

    def towards(self, better: Literal["higher", "lower"]) -> None:
        """Let an optimising sweeper search for higher or lower values, each time in the same order.

        Its study stays in memory: a sweep that goes on after a kill asks for the same members again, whose
        results stand.
        """
        sweeper = self.settings.sweeper
        if not self.optimises:
            return
        direction = {"higher": "maximize", "lower": "minimize"}[better]
        if str(sweeper.direction) not in ("Direction.minimize", direction):
            _refuse(
                "hydra.sweeper.direction",
                f"found {sweeper.direction}",
                f"leave it out: it is {direction}, by the metric",
            )
        if sweeper.get("storage"):
            hint = "leave it out: the folder of the sweep holds all that is needed to go on"
            _refuse("hydra.sweeper.storage", "this Optuna cannot keep a study in a database", hint)
        if str(sweeper.sampler["_target_"]).endswith(".GridSampler"):
            _refuse("hydra/sweeper/sampler", "a grid needs no Optuna", "leave hydra/sweeper out")
        for name in ("n_trials", "n_jobs"):
            if sweeper[name] < 1:
                _refuse(f"hydra.sweeper.{name}", f"found {sweeper[name]}", "1 or more")
        sweeper.direction = direction
        if "seed" in sweeper.sampler and sweeper.sampler.seed is None:
            sweeper.sampler.seed = 0

    def prepare(self, folder: Path, task: Callable[[Any], float | None]) -> Callable[[], None]:
        """Make sweeper and launcher; returns what lets them choose and run members until the sweeper is at its end.

        Args:
            folder: Where Hydra leaves its own files.
            task: Runs the member of the present job; see `pizzeria.sweeping.member`.

        Raises:
            PizzeriaError: sweeper or launcher cannot be made as they are set, or, later, cannot go on.
        """
        from hydra._internal.callbacks import Callbacks
        from hydra.core.plugins import Plugins
        from hydra.core.utils import setup_globals
        from hydra.types import HydraContext
        from omegaconf import OmegaConf, open_dict

        config = OmegaConf.create({"hydra": self.settings})
        with open_dict(config):
            config.hydra.sweep.dir, config.hydra.sweep.subdir = str(folder), "."
            config.hydra.output_subdir = None
            config.hydra.hydra_logging, config.hydra.job_logging = {"root": None}, {"root": None}
            config.hydra.job.name, config.hydra.job.chdir = "sweep", False
        setup_globals()
        context = HydraContext(config_loader=_handing_through(self._loader), callbacks=Callbacks())
        with _told(), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of SQLAlchemy, at the import of Optuna
            sweeper = Plugins.instance().instantiate_sweeper(config=config, hydra_context=context, task_function=task)
        for name in ("optuna", "hydra_plugins"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # members tell of themselves

        def choose_and_run() -> None:
            with _told():
                sweeper.sweep(self.typed)

        return choose_and_run


@contextmanager
def _told() -> Iterator[None]:
    """Tell whatever Hydra's plugins raise by its first line."""
    try:
        yield
    except PizzeriaError:
        raise
    except Exception as error:
        text = str(error).strip() or type(error).__name__
        raise PizzeriaError(f"the sweep cannot go on: {text.splitlines()[0]}") from error


def _handing_through(loader: Any) -> Any:
    """Hydra's loader, but a member's config is its overrides alone."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from omegaconf import open_dict

    class HandingThrough(ConfigLoaderImpl):
        def load_sweep_config(self, master_config: Any, sweep_overrides: list[str]) -> Any:
            config = copy.deepcopy(master_config)
            with open_dict(config):
                config.hydra.overrides.task = list(sweep_overrides)
            return config

    return HandingThrough(loader.get_search_path())


def _check_code(settings: Any) -> None:
    """Nothing but Hydra's plugins and Optuna's samplers is named as code."""
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(settings, resolve=False, throw_on_missing=False)
    assert isinstance(plain, dict)
    for path, value in _leaves({key: plain.get(key) for key in ("sweeper", "launcher", "callbacks")}, "hydra"):
        named = path.endswith(("._target_", ".custom_search_space")) or path.startswith("hydra.callbacks.")
        if named and value is not None and not str(value).startswith(_CODE):
            _refuse(path, f"a spec is data and cannot name code to run: {value}", "leave it out")


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}")
    else:
        yield path, value


def _refuse(key: str, message: str, hint: str) -> None:
    raise SpecError([Fault(key, message, hint, "command line")])
