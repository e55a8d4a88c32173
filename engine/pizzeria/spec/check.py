"""Plain data to a checked `Spec`: all faults in one go, with file, line, YAML path and the nearest right name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from pizzeria.errors import Fault, PluginError, SpecError, nearest
from pizzeria.spec import criteria
from pizzeria.spec.compose import Composed, Origins
from pizzeria.spec.deployment import Deployment
from pizzeria.spec.reading import CODE, YamlPath, dotted, shown
from pizzeria.spec.scalars import hidden
from pizzeria.spec.section import PluginSection, Section
from pizzeria.spec.spec import Spec
from pizzeria.spec.stages import Training
from pizzeria.spec.thresholds import EACH_BEST

NETWORK = "network"
"""The form of a model that says nothing of it; any other one has the name of its trainer."""
_MOST_FAULTS = 50
Load = Callable[[str, str], Any]
"""`pizzeria.registry.load`: kind and name to plugin."""


@dataclass
class _Check:
    load: Load
    composed: Composed
    faults: list[Fault] = field(default_factory=list)
    options: dict[YamlPath, BaseModel] = field(default_factory=dict)
    plugins: dict[YamlPath, tuple[str, Any]] = field(default_factory=dict)

    def fault(self, path: YamlPath, message: str, hint: str = "") -> None:
        """Note one, once; raises all of them when there are more than anybody reads."""
        file, line = self.composed.origins.locate(path)
        found = Fault(shown(dotted(path)), message, hint, file, line)
        if found not in self.faults:
            self.faults.append(found)
        if len(self.faults) >= _MOST_FAULTS:
            raise SpecError([*self.faults, Fault("", "and maybe more: mend these first")])

    def invalid(self, model: type[BaseModel], error: ValidationError, path: YamlPath) -> None:
        """Turn each of pydantic's errors into a fault."""
        for one in error.errors(include_url=False):
            where = (*path, *one["loc"])
            message, hint = _explain(one, model)
            self.fault(where[:-1] if one["type"] == "missing" else where, message, hint)

    def take_options(self, cls: type[Section], raw: dict[str, Any], path: YamlPath) -> dict[str, Any]:
        """A section's own keys; on the way, each plugin section's options are checked against its plugin."""
        if not issubclass(cls, PluginSection):
            own = dict(raw)
        else:
            own = {name: value for name, value in raw.items() if name in keys(cls)}
            self._plugin(cls, raw, {name: value for name, value in raw.items() if name not in own}, path)
        for name, inner, many in _plugin_sections(cls):
            value = own.get(name, _default(cls, name))
            if many and isinstance(value, list):
                own[name] = [
                    self.take_options(inner, item, (*path, name, i)) if isinstance(item, dict) else item
                    for i, item in enumerate(value)
                ]
            elif isinstance(value, dict):
                own[name] = self.take_options(inner, value, (*path, name))
        return own

    def _plugin(self, cls: type[PluginSection], raw: Mapping[str, Any], extras: dict[str, Any], path: YamlPath) -> None:
        use = raw.get("use", cls.model_fields["use"].default)
        if not isinstance(use, str):
            return  # the section's own model says that `use` is missing or no text
        try:
            plugin = self.load(cls.KIND, use)
        except PluginError as error:
            self.fault((*path, "use"), error.message, error.hint)
            return
        self.plugins[path] = (use, plugin)
        known = keys(cls) | keys(plugin.Options)
        for name in [name for name in extras if name not in known]:
            hint = nearest(name, known)
            self.fault((*path, name), f"unknown key; neither {cls.__name__.lower()} nor the plugin {use} has it", hint)
            del extras[name]
        try:
            self.options[path] = plugin.Options.model_validate_json(_json(extras), strict=True)
        except ValidationError as error:
            self.invalid(plugin.Options, error, path)


def check(composed: Composed, load: Load) -> Spec:
    """Check a composed spec against the models, its plugins' options, and the rules between sections.

    Args:
        composed: From `pizzeria.spec.compose.compose`.
        load: Gives a plugin by kind and name.

    Raises:
        SpecError: with all faults.
    """
    work = _Check(load, composed)
    for path, message, hint in _unfit(composed.data, ()):
        work.fault(path, message, hint)
    if work.faults:
        raise SpecError(work.faults)
    own = work.take_options(Spec, _spelt_out(composed.data), ())
    spec: Spec | None = None
    try:
        spec = Spec.model_validate_json(_json(own), strict=True)
    except ValidationError as error:
        work.invalid(Spec, error, ())
    if spec is not None:
        _between_sections(spec, work)
    if work.faults or spec is None:
        raise SpecError(sorted(work.faults, key=lambda fault: (fault.file, fault.line)))
    checked: Spec = _with_options(spec, work.options, ())
    return checked


def check_deployment(section: Mapping[str, Any], load: Load) -> Deployment:
    """Check a whole section `deployment` alone, as a ledger has kept it.

    Args:
        section: As resolved.
        load: Gives a plugin by kind and name.

    Raises:
        SpecError: with all faults.
    """
    path: YamlPath = ("deployment",)
    work = _Check(load, Composed({"deployment": section}, Origins))
    own = work.take_options(Deployment, dict(section), path)
    try:
        found = Deployment.model_validate_json(_json(own), strict=True)
    except ValidationError as error:
        work.invalid(Deployment, error, path)
    if work.faults:
        raise SpecError(work.faults)
    checked: Deployment = _with_options(found, work.options, path)
    return checked


def _spelt_out(data: dict[str, Any]) -> dict[str, Any]:
    """With `runner: ray` as `runner: {use: ray}`."""
    runner = data.get("runner")
    return {**data, "runner": {"use": runner}} if isinstance(runner, str) else data


def _between_sections(spec: Spec, work: _Check) -> None:
    problem = spec.problem
    for where, message, hint in criteria.faults(problem, spec.evaluation):
        work.fault(where, message, hint)
    for path, (use, plugin) in work.plugins.items():
        tasks = getattr(plugin, "TASKS", None)
        if tasks is not None and problem.task not in tasks:
            hint = f"it serves {', '.join(sorted(tasks))}"
            work.fault((*path, "use"), f"the plugin {use!r} does not serve {problem.task}", hint)
    try:
        validator = work.load("validators", spec.data.validator)
    except PluginError as error:
        work.fault(("data", "validator"), error.message, error.hint)
    else:
        for where, message, hint in validator.check_names(spec.data.expectations):
            work.fault(("data", "expectations", *_parts(where)), message, hint)
    _features(spec, work)
    _model(spec, work)
    _training(spec, work)
    _runner(spec, work)
    _thresholds(spec, work)
    _verification(spec, work)
    _deployment(spec, work)
    _cost(spec, work)
    _sweep(spec, work)
    _tracking(spec, work)
    checked = getattr(work.plugins.get(("monitoring",), ("", None))[1], "check", None)
    if checked is not None:
        for where, message, hint in checked(spec.monitoring, problem):
            work.fault(("monitoring", *_parts(where)), message, hint)


def _features(spec: Spec, work: _Check) -> None:
    """A model learns from what the features leave: photos, columns, embeddings."""
    gives = getattr(work.plugins.get(("features",), ("", None))[1], "GIVES", None)
    takes = getattr(work.plugins.get(("model",), ("", None))[1], "TAKES", None)
    if gives is not None and takes is not None and gives != takes:
        message = f"the model {spec.model.use} learns from {takes}, and the features {spec.features.use} give {gives}"
        hint = f"features={takes} on the command line, or `override /features: {takes}` in defaults"
        work.fault(("features", "use"), message, hint)


def _runner(spec: Spec, work: _Check) -> None:
    """Several processes train together only where the trainer knows how, and its options let them."""
    path: YamlPath = ("runner",)
    use, runner = work.plugins.get(path, ("", None))
    trainer = work.plugins.get(("training",), ("", None))[1]
    processes = getattr(runner, "processes", None)
    count = processes(work.options[path]) if processes is not None and path in work.options else 1
    if count < 2 or trainer is None or ("training",) not in work.options:
        return
    together = getattr(trainer, "together", None)
    if together is None:
        message = f"the runner {use} trains in {count} processes, and the trainer {spec.training.use} in one"
        work.fault((*path, "use"), message, "set runner: local")
        return
    for where, message, hint in together(work.options[("training",)], count):
        work.fault(("training", *_parts(where)), message, hint)


def _thresholds(spec: Spec, work: _Check) -> None:
    from pizzeria.tasks import task

    path: YamlPath = ("evaluation", "thresholds")
    problem, thresholds = spec.problem, spec.evaluation.thresholds
    if thresholds != EACH_BEST and task(problem.task).JUDGED != "presence":
        says = {"class": "says the likeliest class", "value": "says a number"}[task(problem.task).JUDGED]
        work.fault(path, f"{problem.task} {says}, and no threshold decides it", "leave thresholds out")
        return
    for name in thresholds.by_class:
        if name not in problem.classes:
            hint = nearest(name, problem.classes)
            work.fault((*path, "by_class", name), f"{name!r} is not among problem.classes", hint)


def _model(spec: Spec, work: _Check) -> None:
    checked = getattr(work.plugins.get(("model",), ("", None))[1], "check", None)
    if checked is not None and ("model",) in work.options:
        for where, message, hint in checked(work.options[("model",)], spec.problem):
            work.fault(("model", *_parts(where)), message, hint)


def _training(spec: Spec, work: _Check) -> None:
    """A trainer fits models of one form, and may know more of what cannot work."""
    model, trainer = (work.plugins.get((section,), ("", None))[1] for section in ("model", "training"))
    form, fits = getattr(model, "FORM", NETWORK), getattr(trainer, "FITS", NETWORK)
    if model is not None and trainer is not None and form != fits:
        message = f"the trainer {spec.training.use} does not fit the model {spec.model.use}"
        right = Training.model_fields["use"].default if form == NETWORK else form
        hint = f"training={right} on the command line, or `override /training: {right}` in defaults"
        work.fault(("training", "use"), message, hint)
        return
    checked = getattr(trainer, "check", None)
    if checked is not None and {("training",), ("model",)} <= work.options.keys():
        options, model_options = work.options[("training",)], work.options[("model",)]
        for where, message, hint in checked(options, spec.problem, model, model_options):
            work.fault(("training", *_parts(where)), message, hint)


def _verification(spec: Spec, work: _Check) -> None:
    path: YamlPath = ("serving", "verification")
    problem, prior = spec.problem, spec.serving.verification.prior
    if prior and problem.task not in ("object_detection", "multilabel_classification"):
        work.fault(path, f"a model for {problem.task} cannot verify listings", "leave verification out")
        return
    for room, amenities in prior.items():
        for name in amenities:
            if name not in problem.classes:
                hint = nearest(name, problem.classes)
                work.fault((*path, "prior", room, name), f"{name!r} is not among problem.classes", hint)


def _deployment(spec: Spec, work: _Check) -> None:
    use, target = work.plugins.get(("deployment",), ("", None))
    if spec.deployment.rollout is not None and not hasattr(target, "stage"):
        work.fault(("deployment", "rollout"), f"the target {use} puts a new model live all at once", "leave it out")
    schedule = spec.deployment.schedule
    if (schedule.monitor or schedule.maintain) and not getattr(target, "SCHEDULES", False):
        hint = f"leave it out, and run `pizzeria cycle {spec.name}` beside the service"
        work.fault(("deployment", "schedule"), f"the target {use} runs nothing by the clock", hint)


def _cost(spec: Spec, work: _Check) -> None:
    for name in spec.cost.targets:
        try:
            work.load("targets", name)
        except PluginError as error:
            work.fault(("cost", "targets", name), error.message, error.hint)


def _sweep(spec: Spec, work: _Check) -> None:
    from pizzeria.tasks import task

    metrics, wanted = task(spec.problem.task).METRICS, spec.sweep.metric
    if wanted is not None and wanted not in metrics:
        hint = nearest(wanted, metrics)
        work.fault(("sweep", "metric"), f"{spec.problem.task} has no metric {wanted!r}", hint)


def _tracking(spec: Spec, work: _Check) -> None:
    """Two trackers that are the same in all would write over each other."""
    said: list[Any] = []
    for i, one in enumerate(spec.tracking):
        mine = (one.use, work.options.get(("tracking", i)))
        if mine in said:
            work.fault(("tracking", i, "use"), f"{one.use} is there twice, with the same options", "leave one out")
        said.append(mine)


def _with_options(section: Any, options: Mapping[YamlPath, BaseModel], path: YamlPath) -> Any:
    """The section, and those below it, with their plugins' options put in."""
    update: dict[str, Any] = {}
    for name, _, many in _plugin_sections(type(section)):
        value = getattr(section, name)
        if value is None:
            continue
        if many:
            update[name] = tuple(_with_options(item, options, (*path, name, i)) for i, item in enumerate(value))
        else:
            update[name] = _with_options(value, options, (*path, name))
    if path in options:
        update["options"] = options[path]
    return section.model_copy(update=update)


def _plugin_sections(cls: type[BaseModel]) -> Iterator[tuple[str, type[Section], bool]]:
    """Fields that are plugin sections: name, class, and whether there may be several."""
    for name, info in cls.model_fields.items():
        annotation: Any = info.annotation
        many = get_origin(annotation) is tuple
        inner = get_args(annotation)[0] if many or _optional(annotation) else annotation
        if isinstance(inner, type) and issubclass(inner, PluginSection):
            yield name, inner, many


def _optional(annotation: Any) -> bool:
    """Whether it is `Section | None`."""
    return get_origin(annotation) in (Union, UnionType) and get_args(annotation)[1:] == (type(None),)


def _default(cls: type[BaseModel], name: str) -> Any:
    default = cls.model_fields[name].default
    if isinstance(default, tuple):
        return [item.model_dump() for item in default]
    return default.model_dump(mode="json") if isinstance(default, BaseModel) else None


def keys(cls: type[BaseModel]) -> set[str]:
    """As a spec has them: `schema`, where Python needs `schema_`."""
    return {info.alias or name for name, info in cls.model_fields.items()} - {"options"}


def _json(value: Any) -> str:
    return json.dumps(value, default=str)


def _unfit(value: Any, path: YamlPath) -> Iterator[tuple[YamlPath, str, str]]:
    """What came over the command line, or out of several files, and is no data."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name in CODE:
                yield (*path, str(name)), "a spec is data and cannot name code to run", "name a plugin with `use:`"
            yield from _unfit(item, (*path, str(name)))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _unfit(item, (*path, i))
    elif value == "???":
        yield path, "it is not filled in", "write a value"
    elif isinstance(value, str) and (found := hidden(value)) is not None:
        yield path, f"it holds {found}, which is not seen", "remove it"


def _parts(where: str) -> YamlPath:
    return tuple(
        int(part) if part.isdigit() else part for part in where.replace("[", ".").replace("]", "").split(".") if part
    )


def _explain(error: Any, model: type[BaseModel]) -> tuple[str, str]:
    """Message and hint for one of pydantic's errors."""
    kind, found, context = error["type"], error.get("input"), error.get("ctx", {})
    if kind == "missing":
        return f"{error['loc'][-1]!r} is missing", f"add `{error['loc'][-1]}:`"
    if kind == "extra_forbidden":
        return "unknown key", nearest(str(error["loc"][-1]), _siblings(model, error["loc"]))
    if kind == "literal_error":
        names = [name.strip("' ") for name in context["expected"].replace(" or ", ",").split(",")]
        return f"found {shown(repr(found))}", nearest(str(found), names)
    if kind == "value_error":
        return shown(str(context["error"]), 1000), ""
    if kind == "too_short":
        return "nothing is listed here", "at least one entry is needed"
    message = str(error["msg"])
    return f"found {shown(repr(found))}", message[0].lower() + message[1:]


def _siblings(model: type[BaseModel], location: tuple[str | int, ...]) -> set[str]:
    """Keys that would have been right where an unknown one was found."""
    current: Any = model
    for part in location[:-1]:
        if isinstance(part, int):
            continue
        info = current.model_fields.get(part) if isinstance(current, type) and issubclass(current, BaseModel) else None
        current = _model_in(info.annotation) if info is not None else None
    return keys(current) if isinstance(current, type) and issubclass(current, BaseModel) else set()


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _model_in(arg)) is not None), None)
