"""What a plugin of each kind must offer: one small Protocol per kind.

A plugin is a module (or any object) with these attributes. Its entry point, in group `pizzeria.<kind>`, names it;
a file `./plugins/<kind>/<name>.py` of the working folder needs no entry point. `Options` is the pydantic model of the
plugin's own keys in the spec. Heavy libraries are imported inside the functions that use them, so that
`pizzeria validate`, which loads `Options` alone, stays fast.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pizzeria.spec.deployment import Schedule
from pizzeria.spec.monitoring import Alert, Monitoring
from pizzeria.spec.problem import Problem
from pizzeria.spec.section import Options
from pizzeria.spec.stages import Serving
from pizzeria.spec.thresholds import Thresholds
from pizzeria.spec.verification import Verdicts

if TYPE_CHECKING:
    import pandas as pd

    from pizzeria.inference.truth import Label, LabelCounts
    from pizzeria.predictions import Predictions
    from pizzeria.tables import Tables


class Progress(Protocol):
    """How long work tells the user where it is: a bar on a terminal, plain lines elsewhere."""

    def track(self, items: Sequence[Any], label: str) -> Iterator[Any]:
        """Yield the items, counting them under `label`."""

    def update(self, label: str, done: int, total: int, **figures: float) -> None:
        """Say that `done` of `total` steps of `label` are done, with figures such as loss."""

    def say(self, text: str) -> None:
        """One line that stays."""


class Plugin(Protocol):
    """What all kinds share."""

    Options: type[Options]


@dataclass(frozen=True)
class Recognised:
    """What a source makes of a path that somebody points at: see `Source`.

    Attributes:
        format: In words, such as `COCO boxes`.
        options: The source's options that read it, as a spec would have them.
        task: The task that the data are made for; None where they serve several, or that is for the user to say.
        certainty: 0 to 1; where several sources recognise a path, the surest one is taken.
        split: Keys for `data.split` that the data suggest, such as a column with a split of their own.
    """

    format: str
    options: Mapping[str, Any]
    task: str | None
    certainty: float
    split: Mapping[str, Any] = field(default_factory=dict)


class Source(Plugin, Protocol):
    """`sources`: brings data in, as tables, under the names that they have there.

    The engine does the rest (`pizzeria.intake`): it renames and leaves out classes, joins several sources, looks at
    every photo, repairs or refuses, and holds the account against the tables. So a source's `images` need only
    `image_id` and `path`; boxes are in pixels of the upright photo.

    It may also have `recognise(path: Path) -> Recognised | None`: whether it could read what lies at a path, for
    `pizzeria init`; quick, reads no more than it must, and never raises.
    """

    TASKS: frozenset[str]
    """Tasks that it can serve."""

    def inputs(self, options: Any) -> Sequence[Path | str]:
        """Files and folders whose content decides what `collect` returns; empty for a generator. A text stands for data
        that are no file of this machine, and changes whenever they do: see `pizzeria.fetching.state`."""

    def collect(self, options: Any, problem: Problem, folder: Path, progress: Progress) -> Tables:
        """Read (or make) the data; files that it makes go into `folder`, and their paths are relative to it.

        All classes come, also those that `problem.classes` lacks. `tables.account` has, by unit, how much was read, and
        what was set aside and why: nothing is dropped without a word.

        Raises:
            DataError: the data cannot be read; names the file.
        """


@dataclass(frozen=True)
class Expectation:
    """The outcome of one expectation.

    `success` is None when nothing was evaluated: undecided, which counts as not passed.
    """

    table: str
    name: str
    arguments: Mapping[str, Any]
    success: bool | None
    evaluated: int
    unexpected: int
    examples: tuple[str, ...] = ()
    """A few offending rows, by their key and value, such as `img-12: width 0`."""
    severity: Literal["critical", "warning", "info"] = "critical"
    """What it means when it is not met: only what is critical stops a run."""


class Validator(Plugin, Protocol):
    """`validators`: checks tables.

    It may also have `profile(tables, problem, *, drift=False) -> Mapping[table, Sequence[Mapping[name, arguments]]]`:
    expectations learnt from a version of the data that was good, in the form that `data.expectations` has; with
    `drift` only those on distributions, as warnings, which `data.reference` adds. `problem` may be None.
    """

    def check_names(self, expectations: Mapping[str, Sequence[Mapping[str, Any]]]) -> Sequence[tuple[str, str, str]]:
        """Faults in a spec's expectations as (path below `data.expectations`, message, hint); reads no data."""

    def validate(
        self, tables: Tables, problem: Problem, expectations: Mapping[str, Sequence[Mapping[str, Any]]], folder: Path
    ) -> Sequence[Expectation]:
        """Run the built-in expectations of the task and the spec's own.

        Args:
            folder: Where pages about the outcome may be left; `data_docs/index.html` there is linked from the report.
        """


class Features(Plugin, Protocol):
    """`features`: turns tables into arrays, fitted on the training split alone.

    It may also have

    - `GIVES: str`: what it leaves, such as `photos`; a model that `TAKES` something else is refused.
    - `MODEL_OPTIONS: Sequence[str]`: those of the model's options that decide what it builds, such as `image_size`, so
      that they stand in one place of a spec; `build` gets their values.
    - `inputs(model: Mapping[str, Any]) -> Sequence[Path]`: files that those options name and it reads.
    - `files(options) -> Sequence[Path]`: the same for its own options.
    """

    TASKS: frozenset[str]

    def build(
        self,
        options: Any,
        problem: Problem,
        tables: Tables,
        splits: pd.Series[str],
        model: Mapping[str, Any],
        folder: Path,
        progress: Progress,
    ) -> None:
        """Write what `pizzeria.datasets.open_dataset` reads. `splits` maps image_id or row_id to its split, and `model`
        the names of `MODEL_OPTIONS` to their values, None where the model has no such option."""


@dataclass(frozen=True)
class World:
    """The processes that train one network together, as one of them sees them.

    Each takes its share of every batch, and they average their gradients, so that the batch which the options name is
    the batch of all of them together.
    """

    rank: int
    """Number of this process; 0 is the one that writes and tells of progress."""
    size: int
    """How many there are."""
    launcher: Literal["ray", "torchrun"]
    """What started them, and tells them of each other."""
    strategy: str = "ddp"
    """How they share the work, by a name that the trainer knows."""


@dataclass(frozen=True)
class TrainJob:
    """One training: everything that a trainer needs."""

    problem: Problem
    model: Any
    """The model plugin."""
    model_options: Any
    options: Any
    """The trainer's own options."""
    seed: int
    features: Path
    """Folder of the `features` stage; `pizzeria.datasets.open_dataset` opens it."""
    folder: Path
    """Where to write; kept when the run is cut off, so that checkpoints in it can be resumed from."""
    progress: Progress
    start: Path | None = None
    """Weights to begin from, as `train` leaves them. `start.json` beside them may say of which `classes` and
    `preprocessing` they are; weights that do not fit are a `DataError`."""
    world: World | None = None
    """Of several processes that train together, which this is; None for one that trains alone. All of them see
    `features` and `folder`; only rank 0 writes, and what it returns counts."""


class Model(Plugin, Protocol):
    """`models`: builds a network, and exports it. See `pizzeria_plugins.models` for what the network itself offers.

    It may also have `inputs(options) -> Sequence[Path]`: files that decide what it builds, such as pretrained weights;
    and `TAKES: str`, what it learns from, as features plugins say what they give: `photos`, `columns` or `embeddings`;
    and `check(options, problem) -> Sequence[(path below model, message, hint)]`: faults that only the problem shows.
    One that is no network has `FORM: str`, the name of the trainer plugin that fits it, and `build` returns what that
    trainer wants.
    """

    TASKS: frozenset[str]

    def build(self, options: Any, problem: Problem, preprocessing: Mapping[str, Any], *, pretrained: bool) -> Any:
        """The network, a torch module. `pretrained=False` when trained weights are about to be loaded into it."""

    def export(
        self, options: Any, problem: Problem, preprocessing: Mapping[str, Any], weights: Path, path: Path
    ) -> None:
        """Write `model.onnx` with the trained `weights`; `pizzeria.inference.predictor` says its inputs and outputs."""


class Trainer(Plugin, Protocol):
    """`trainers`: fits a network.

    One that can train in several processes (`TrainJob.world`) has `together(options, processes) -> Sequence[(path below
    training, message, hint)]` besides: what in its options stands in the way of so many; empty when nothing does.

    It may have `check(options, problem, model, model_options)` too, with the same form of faults: options that only the
    trainer knows to be of no use for the task or for the model plugin. One that fits no networks has `FITS: str`, the
    `FORM` of the models that it fits.
    """

    def train(self, job: TrainJob) -> Mapping[str, Any]:
        """Train (or resume). Leaves `model.safetensors` (best epoch) and `curves.csv` in `job.folder`.

        Returns:
            Facts for the report: epochs, best_epoch, seconds, items_per_second, parameters, device ...

        Raises:
            TrainingError: it cannot go on.
            KeyboardInterrupt: Ctrl-C; `pizzeria.errors.Terminated` on SIGTERM. What is in `job.folder` is resumed from.
        """

    def predict(self, job: TrainJob, weights: Path, split: str) -> Predictions:
        """What the network says of one split, in the form of `pizzeria.predictions`; scores not calibrated."""


class Runner(Plugin, Protocol):
    """`runners`: where trainings and predictions in bulk are done.

    It may also have `processes(options) -> int`: how many train together, where that is more than one.
    """

    def train(self, options: Any, trainer: Trainer, job: TrainJob) -> Mapping[str, Any]:
        """What `trainer.train(job)` returns, wherever it is called, and by however many processes (`TrainJob.world`).

        Raises:
            TrainingError: the trainer's, or the processes cannot be had, or one of them died.
            KeyboardInterrupt: Ctrl-C; the same call goes on from the last checkpoint.
        """

    def each(self, options: Any, work: BulkWork, items: Sequence[str]) -> Iterator[str]:
        """What `work` returns for each item, in whatever order they are done.

        Args:
            work: Opened once in each process that does some of it. It can be pickled: that is how it gets there.
        """


class BulkWork(Protocol):
    """Work on many items that do not need each other."""

    def open(self) -> Callable[[str], str]:
        """Make ready, such as by loading a model; what comes back turns one item into its result."""


class TrackedRun(Protocol):
    """One run, as a tracker keeps it; begun anew by each command that runs some of it.

    All of it is called by one thread, which is not the one that trains: what it raises is told, and stops no run.
    """

    where: str
    """For the user: where to look at it."""
    steps: int
    """The last step whose metrics it has from an earlier command; up to it none are told again. 0: there are none."""

    def parameters(self, values: Mapping[str, str | int | float | bool | None]) -> None:
        """The resolved spec by its dotted paths; the same again, or more, when the run goes on."""

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Figures of one step: an epoch while it trains, from 1 on. Those of the evaluation come with the last one."""

    def lineage(self, values: Mapping[str, str]) -> None:
        """What the run is made of: `run`, `stage.<name>` {fingerprint}, and the `bundle` {sha256} when there is one."""

    def file(self, path: Path) -> None:
        """A file to keep by its name, such as the spec or the report; it replaces an older one."""

    def close(self, state: Literal["finished", "failed", "killed"]) -> None:
        """The command ends: with all done; because a stage failed or refused; or by Ctrl-C."""


class Tracker(Plugin, Protocol):
    """`trackers`: keeps curves, metrics and files of runs where runs are compared with each other.

    It may also have `prepare()`, which imports all libraries that it needs. That is called before anything else is
    done, in the thread that will train: Python cannot import what hangs together in two threads at once.
    """

    def begin(self, options: Any, name: str, run: str) -> TrackedRun:
        """The run of this id, made where the tracker does not have it yet.

        Args:
            name: Of the spec.
            run: The same id for the same spec, data and code: a run that goes on comes with the same.
        """


class Evaluator(Plugin, Protocol):
    """`evaluators`: scores predictions against the truth, and calibrates them."""

    def calibrate(
        self,
        method: Literal["isotonic", "temperature", "none"],
        problem: Problem,
        predictions: Predictions,
        truth: Predictions,
        thresholds: Thresholds,
    ) -> Mapping[str, Any]:
        """Fit on the validation split what `pizzeria.inference.calibration` applies, as plain data for `bundle.json`.

        Args:
            thresholds: What the spec wishes of the threshold of each class, for tasks that judge presence.

        Returns:
            The calibration, with `thresholds` {class: probability from which the class is said to be present}
            for tasks that judge presence, and `wishes` {class: {wish, kept, precision, recall}} for the report.
        """

    def evaluate(
        self,
        options: Any,
        problem: Problem,
        predictions: Predictions,
        truth: Predictions,
        calibration: Mapping[str, Any],
    ) -> Mapping[str, Any]:
        """Metrics by the names of `pizzeria.tasks`; presence and probabilities are judged after calibration.

        Returns:
            `metrics` {name: value}, `per_class` {class: {name: value}}, `curves` {name: ...} for the report; of
            detection also `sizes` {size of box: {name: value}} and `errors` {kind: {count, cost}}.
            A value that cannot be computed (empty split, class never seen) is NaN, never left out. The engine adds
            intervals, slices and a trivial model's figures (`pizzeria.measuring.assessment`) to the metrics that it
            finds to be what their names say.
        """

    def verdict_bands(
        self,
        wanted: Verdicts,
        problem: Problem,
        predictions: Predictions,
        truth: Predictions,
        calibration: Mapping[str, Any],
        listings: Sequence[str],
    ) -> Mapping[str, Any]:
        """Fit on the validation split what `pizzeria.inference.bands` applies; asked only of tasks that judge presence.

        Args:
            listings: [N] the listing of each photo.

        Returns:
            Keys to add to the calibration: `bands` {class: [low, high]}, `listing_photos`, and `prevalence` {class:
            share of photos that show it}, which `pizzeria.inference.rooms` needs.
        """

    def verdict_figures(
        self,
        problem: Problem,
        predictions: Predictions,
        truth: Predictions,
        calibration: Mapping[str, Any],
        listings: Sequence[str],
    ) -> Mapping[str, Any]:
        """How right those verdicts are on the test split, for the report: `precision`, `omission` and counts."""


@dataclass(frozen=True)
class Rendered:
    """What a target would do, without doing it: files by relative path, and commands as argv lists.

    A secret is never in it: where one belongs, its environment variable's name stands.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    commands: Sequence[Sequence[str]] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Release:
    """One bundle to be deployed, with what its service needs to know."""

    name: str
    """Name of the deployment: the spec's name."""
    bundle: Path
    """Folder of the bundle."""
    sha256: str
    """The bundle's identity, which `/readyz` must return."""
    serving: Serving
    server: Server
    log_folder: Path
    """Absolute folder for a file-based prediction log."""
    state: Path
    """Absolute folder where the target may keep its state."""
    task: str = ""
    """The bundle's task, where it is known: rows want other settings of a server than photos."""
    python: str = sys.executable
    """The interpreter that will run the service, where it will run."""
    run: Path | None = None
    """Folder of the run that packed the bundle, for what watches the model from where it is deployed."""
    schedule: Schedule = field(default_factory=Schedule)
    """What the target is to run again and again."""
    alerts: tuple[Alert, ...] = ()
    """Whom that tells."""
    public_keys: tuple[Path, ...] = ()
    """Absolute paths of keys: a service on this machine starts with a bundle alone that one of them has signed."""
    signatures: Path | None = None
    """Absolute folder of the signatures, `<sha256>.sig`."""


class Server(Plugin, Protocol):
    """`servers`: turns a bundle into a process that keeps the serving contract.

    A service told of a listening socket as systemd tells it (`LISTEN_FDS=1`, the socket is file descriptor 3) serves on
    that instead of `host:port`; told of a `NOTIFY_SOCKET`, it says `READY=1` there once it can answer, and on a line of
    the same message `X_SHA256=` and the bundle's identity. On SIGTERM it takes no new connection, answers what it has
    begun, with `Connection: close`, and ends.
    """

    def render(self, release: Release, host: str, port: int) -> Rendered:
        """The one command that serves the bundle on `host:port`, with its environment.

        Every path in it is one of the release's: `python`, `bundle`, `log_folder`, `state` and the rooms of `serving`,
        which may all be paths on another machine.
        """


@dataclass(frozen=True)
class DeploymentStatus:
    """How a deployment is."""

    state: Literal["live", "starting", "dead", "absent"]
    address: str = ""
    sha256: str = ""
    """What `/readyz` says."""
    detail: str = ""


class Target(Plugin, Protocol):
    """`targets`: where a service runs. `render` is pure; the other three act, and may be repeated.

    It may also have

    - `build(release, options, folder, progress)`: writes what the rendered files and commands take along and is no
      text, such as the bundle and a zip, into `folder`, where the rendered files lie already.
    - the functions of `Canary`; a spec may then give `deployment.rollout`.
    - `LOCK = "serve"`: the lock (`pizzeria.shipment.LOCKS`) of the packages that it ships or lets install, for
      `pizzeria sbom --image`; what the prediction log needs besides is added.
    - `SCHEDULES = True`: it installs `release.schedule`; a spec may then give `deployment.schedule`.
    """

    def render(self, release: Release, options: Any) -> Rendered:
        """All files and commands of a deployment, as text. Reads and writes nothing but the release's bundle and run.

        Raises:
            DeploymentError: the release cannot run there, such as one whose prediction log is a file where no file
                stays; names the key to change.
        """

    def apply(self, release: Release, options: Any, progress: Progress) -> DeploymentStatus:
        """Bring the service up with this bundle, and return when it is live. The one before serves until then, and goes
        on serving when the new one does not come up.

        Raises:
            DeploymentError: it does not come up, or answers with another bundle.
        """

    def status(self, name: str, options: Any, state: Path) -> DeploymentStatus:
        """How the deployment is now, within seconds; `absent` where there is none, `dead` where it cannot be asked."""

    def remove(self, name: str, options: Any, state: Path) -> None:
        """Take the service down; nothing happens where there is none."""


@dataclass(frozen=True)
class Observation:
    """What was seen of a staged service since it was staged."""

    sha256: str
    """The bundle that it answers with."""
    requests: int
    """Answers of `/predict` and `/verify`."""
    errors: int
    """Of those, answers with a status of 500 or more, and requests that it did not answer."""
    p95_ms: float
    """95th percentile of their latency; NaN where there was no answer."""


class Canary(Protocol):
    """What a target that lets a new bundle take over in steps has besides."""

    def stage(self, release: Release, options: Any, progress: Progress) -> DeploymentStatus:
        """Bring the bundle up beside the present one, without traffic; one that is staged already is left as it is.

        Raises:
            DeploymentError: it does not come up, or nothing is live yet that it could be staged beside.
        """

    def shift(self, name: str, options: Any, state: Path, percent: int) -> None:
        """Send so much of the traffic to the staged bundle, 0 to 99 per cent; the rest goes to the present one."""

    def observe(
        self, name: str, options: Any, state: Path, sample: tuple[str, bytes], probes: int
    ) -> tuple[Observation, Observation]:
        """Ask both the golden request `probes` times, and say what was seen of the staged one and of the present one.

        Args:
            sample: File name and content of the golden request of the staged bundle.
        """

    def settle(self, name: str, options: Any, state: Path, keep: bool, progress: Progress) -> DeploymentStatus:
        """Let the staged bundle take all traffic and the other go (`keep`), or the other way round; nothing happens
        where nothing is staged, and a call that was cut off may be made again.

        Raises:
            DeploymentError: the one that shall stay does not serve.
        """


class PredictionLog(Plugin, Protocol):
    """`prediction_logs`: keeps one record for each prediction; see `pizzeria.inference.records`.

    It may also have `interval_s(options) -> float`: seconds between two writes of a service, which are 0.4 otherwise;
    `secrets(options) -> Sequence[str]`: names of the environment variables that the service needs for it; and
    `local_files(options) -> bool`: whether the records lie in files of the machine that serves, which a target that
    keeps no files must refuse; and `check(options, folder)`, which raises a DataError where the log was damaged in a
    way that `read` does not see, such as an index that lacks records.

    One that keeps ground truth too is a `LabelLog` besides. One that can be read in pieces, as millions of records want
    it, also has

    - `batches(options, folder, *, sha256, since, until, columns) -> Iterator[pd.DataFrame]`: as `Traffic.batches`;
    - `counts(options, folder, edges, *, sha256) -> Sequence[int]`: as `Traffic.counts`.

    Without them all is read at once, and cut.
    """

    def writer(self, options: Any, folder: Path) -> Callable[[Sequence[Mapping[str, Any]]], None]:
        """A function that appends records, all of a call or none; called from one background thread.

        A record whose `prediction_id` is there already is passed over, so that a batch may be tried again. Whatever is
        missing for the log to work at all, such as a library, is an error here and not at the first record.
        """

    def read(self, options: Any, folder: Path, *, sha256: str | None = None) -> pd.DataFrame:
        """All records, oldest first, one column per value, with `timestamp` (UTC) and `sha256` of the bundle; without
        the photos."""

    def photo(self, options: Any, folder: Path, prediction_id: str) -> bytes | None:
        """The photo of a record, as it came; None where none is kept."""

    def prune(self, options: Any, folder: Path, before: datetime) -> int:
        """Delete records (and photos) that are older; returns how many records went."""


class LabelLog(Protocol):
    """What a prediction log has that keeps ground truth, for `POST /feedback` and `pizzeria labels`; both or neither.

    What a label is, and how labels are sifted and joined: `pizzeria.inference.truth`. `read` of such a log joins them:
    its rows have `true:<class>`, or `true`, where there is a label.

    One that may have millions of labels also has the following; without them, all are looked at in each pass.

    - `labels_since(options, folder, since: str) -> Iterator[tuple[str, Label]]`: the labels that came at `since`
      (`pizzeria.inference.truth.moment`; empty: at any time) or later, each behind the time at which it came, in order
      of that;
    - `times(options, folder, keys: Collection[Key], *, sha256) -> Sequence[datetime]`: when the predictions were made
      that labels of these keys are of, in any order; a few others may be among them.
    """

    def add_labels(self, options: Any, folder: Path, labels: Sequence[Label]) -> LabelCounts:
        """Add labels to those that are there: all of a call or none, durably, and each once, as `sift` says; also when
        others add some at the same time. A label whose prediction is not there is kept."""

    def labels(self, options: Any, folder: Path) -> Sequence[Label]:
        """All that were ever added and not pruned, in any order."""


Kind = Literal["performance", "drift", "multivariate_drift", "quality", "concept"]
"""What a finding or an alarm is about. `concept`: inputs are as they were, and mean something else."""


@dataclass(frozen=True)
class Finding:
    """One thing that a monitor measured in one chunk, and whether it calls for an alert."""

    kind: Kind
    subject: str
    """A metric (`f1`), a class's metric (`f1 of bed`) or a column."""
    chunk: str
    start: str
    end: str
    value: float | None
    threshold: str
    """The rule in words."""
    alert: bool | None
    """None: undecided, because nothing could be measured. It counts as not passed."""
    realised: float | None = None
    """What the labels say, where there are some."""
    method: str = ""
    """How it was measured: `jensen_shannon`, `CBPE`."""
    low: float | None = None
    """Below this it alerts; None: never."""
    high: float | None = None
    """Above this it alerts; None: never."""
    error: float | None = None
    """Sampling error of the value, one standard deviation."""


@dataclass(frozen=True)
class Judged:
    """A chunk that was judged in a pass."""

    name: str
    """Names one chunk of a bundle's traffic for good: a number from 1 on, or a period such as 2026-11-26."""
    start: str
    """ISO 8601, of its first record; empty where records have no time."""
    end: str
    """Of its last record."""
    rows: int
    labelled: int
    """Rows whose truth is known."""
    open: bool
    """Whether more records may join it: it is judged again in the next pass."""
    firm: bool = True
    """Whether what it is without may be over. Not so while it is open and far from full: an alarm there opens an
    incident, and none closes no incident."""


@dataclass(frozen=True)
class Alarm:
    """One thing that is wrong in one chunk, for people. What shares kind and subject is one trouble over time."""

    kind: Kind
    subject: str
    """What it is about, the same from chunk to chunk: a metric, a column, or `columns` for several at once."""
    chunk: str
    start: str
    end: str
    text: str
    """A sentence."""
    causes: tuple[str, ...] = ()
    """Columns that are likely behind it, the likeliest first."""
    examples: tuple[str, ...] = ()
    """`prediction_id`s of records in the chunk that show it best."""
    usual: tuple[str, ...] = ()
    """`input_id`s of reference records to set beside them."""


@dataclass(frozen=True)
class Backtest:
    """How near the label-free estimates came to what labels said later, over the chunks that have labels."""

    metric: str
    chunks: int
    mean_error: float
    """Mean absolute difference."""
    largest_error: float


@dataclass(frozen=True)
class Verdict:
    """What one monitoring pass found in the chunks that are new since the last one, or have new labels or records."""

    findings: tuple[Finding, ...]
    alerts: tuple[Alarm, ...]
    """Empty when all is well."""
    undecided: tuple[str, ...]
    """What could not be judged, and why."""
    plots: Mapping[str, str] = field(default_factory=dict)
    """Title to plotly figure as JSON, over the latest chunks, also those of earlier passes."""
    chunks: tuple[Judged, ...] = ()
    """Those of the findings, oldest first."""
    stood: int = 0
    """Chunks that were judged in earlier passes and stand."""
    backtest: Backtest | None = None
    """None until enough chunks have labels."""

    @property
    def judged(self) -> int:
        """Records in the chunks of this pass."""
        return sum(chunk.rows for chunk in self.chunks)


class Traffic(Protocol):
    """Logged predictions of one bundle, as a monitor reads them: in pieces, so that memory does not grow with them.

    Records are in order of `timestamp`; those of one moment are in an order of their own that stays. The columns are
    those of `pizzeria.inference.records`, with the truth where it is known.
    """

    def batches(
        self, *, since: datetime | None = None, until: datetime | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[pd.DataFrame]:
        """Records of [since, until), some ten thousand at a time.

        Args:
            columns: Only these, where the traffic has them; all by default. Fewer are read faster.
        """

    def counts(self, edges: Sequence[datetime]) -> Sequence[int]:
        """How many records lie in [edges[i], edges[i + 1]), for each i; without reading them where that can be."""

    def relabelled(self, mark: str) -> tuple[Sequence[datetime], str]:
        """Times of the records that got a label since `mark`, in order, and the mark to give the next time.

        Args:
            mark: Empty for all labels that there are.
        """


class Monitor(Plugin, Protocol):
    """`monitors`: judges logged predictions against the reference, with or without labels.

    It may also have `check(monitoring, problem) -> Sequence[(path below monitoring, message, hint)]`: faults in a spec
    that only the monitor knows, such as a metric that it cannot estimate for the task; and `kept(memory)`: called when
    the last verdict lies in the history. Until then its chunks are not told of, and come again in the next verdict.
    """

    def judge(
        self,
        options: Any,
        monitoring: Monitoring,
        problem: Problem,
        reference: pd.DataFrame,
        traffic: Traffic,
        memory: Path,
        progress: Progress,
    ) -> Verdict:
        """Judge what is new in the traffic.

        Args:
            reference: [M] records with the truth, of data that the model has not learnt. Its `attrs` may have the
                `calibration` of the bundle, with the bands that make verdicts (`pizzeria.inference.bands`).
            memory: Folder of this bundle's traffic alone, where the monitor keeps what it measured, so that the next
                pass looks at new chunks only. It may be gone at any time, and a kill must not spoil it; what lies
                there for other options, another reference or another version of the plugin is not used.
        """


@dataclass(frozen=True)
class Notice:
    """What a channel is told."""

    key: str
    """Names this notice: a repeated sending has the same, so that receivers can tell."""
    state: Literal["firing", "resolved", "decided"]
    """`firing`: the alarms are new. `resolved`: they are over. `decided`: maintenance did something."""
    name: str
    """Of the deployment."""
    at: str
    """ISO 8601, UTC."""
    text: str
    """All of it in a few plain sentences, for channels that show no more."""
    alarms: tuple[Alarm, ...] = ()
    sha256: str = ""
    run: str = ""
    report: Path | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    """What to look at, by what it is: `page`, where `monitoring.pages` says the address of `pizzeria ui`."""


@dataclass(frozen=True)
class Standing:
    """How a live model stands after a monitoring pass: for channels that show a state, and do not only tell news."""

    name: str
    """Of the deployment."""
    at: str
    """ISO 8601, UTC."""
    sha256: str
    run: str
    open: tuple[Alarm, ...]
    """The newest alarm of each incident that is open."""
    chunk: Judged | None
    """The newest chunk that was judged; None where there is none yet."""
    findings: tuple[Finding, ...]
    """Of that chunk."""


class AlertChannel(Plugin, Protocol):
    """`alerts`: tells somebody.

    It may also have `secrets(options) -> Sequence[str]`: names of the environment variables that it needs; and
    `show(options, standing: Standing)`: called after each pass, also when there is nothing to tell; it fails as `send`.
    """

    def send(self, options: Any, notice: Notice) -> None:
        """Tell of one notice; within seconds, and once: the engine tries again later, and does not repeat itself.

        Raises:
            PizzeriaError: it could not be sent.
        """
