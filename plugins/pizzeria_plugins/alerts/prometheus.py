"""Shows how a model stands to Prometheus: a file for node_exporter's textfile collector, or a Pushgateway, or both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from pydantic import Field, model_validator

from pizzeria.atomic import write_bytes
from pizzeria.contracts import Kind, Notice, Standing
from pizzeria.errors import PizzeriaError
from pizzeria.spec.section import Options as BaseOptions
from pizzeria_plugins.alerts.posting import Receiver, Url, connected, post
from pizzeria_plugins.alerts.texts import clean

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_LABEL = 200
_TEXT = "text/plain; version=0.0.4; charset=utf-8"

Samples = Sequence[tuple[Mapping[str, str], float | None]]
"""Labels and value."""
Metric = tuple[str, Samples]
"""What it says, and its samples."""


class Options(BaseOptions):
    """Options of Prometheus."""

    folder: Path | None = Field(
        default=Path("/var/lib/prometheus/node-exporter"),
        description="Folder of node_exporter's textfile collector; null: no files.",
    )
    pushgateway: Url | None = Field(default=None, description="Address of a Pushgateway: http://host:9091.")

    @model_validator(mode="after")
    def _somewhere(self) -> Options:
        if self.folder is None and self.pushgateway is None:
            raise ValueError("folder and pushgateway are both null; name one of them")
        return self


def send(options: Options, notice: Notice) -> None:
    """Show when there was news last, and of how many alarms, by its state; what is open is shown by `show`.

    Raises:
        PizzeriaError: the file cannot be written, or the Pushgateway does not take it.
    """
    registry = _registry()
    labels = {"deployment": notice.name, "state": notice.state}
    for metric, says, value in (
        ("pizzeria_last_notice_timestamp_seconds", "When a notice of the state was last told.", _seconds(notice.at)),
        ("pizzeria_last_notice_alarms", "How many alarms it had.", float(len(notice.alarms))),
    ):
        _gauge(registry, metric, says, [(labels, value)])
    _publish(options, registry, notice.name, notice.state)


def show(options: Options, standing: Standing) -> None:
    """Show what is open, and what was found in the newest chunk.

    Raises:
        PizzeriaError: the file cannot be written, or the Pushgateway does not take it.
    """
    registry = _registry()
    for metric, (says, samples) in {**_state(standing), **_chunk(standing), **_findings(standing)}.items():
        _gauge(registry, metric, says, samples)
    _publish(options, registry, standing.name, "")


def _state(standing: Standing) -> dict[str, Metric]:
    own = {"deployment": standing.name}
    model = {**own, "run": standing.run, "sha256": standing.sha256}
    kinds = [
        ({**own, "kind": kind}, float(sum(alarm.kind == kind for alarm in standing.open))) for kind in get_args(Kind)
    ]
    each = [({**own, "kind": alarm.kind, "subject": alarm.subject}, 1.0) for alarm in standing.open]
    return {
        "pizzeria_monitored_timestamp_seconds": ("When the model was monitored last.", [(own, _seconds(standing.at))]),
        "pizzeria_model_info": ("The bundle that was monitored.", [(model, 1.0)]),
        "pizzeria_incidents_open": ("Incidents that are open, by kind.", kinds),
        "pizzeria_incident_open": ("1 for each incident that is open.", each),
    }


def _chunk(standing: Standing) -> dict[str, Metric]:
    chunk = standing.chunk
    if chunk is None:
        return {}
    own = {"deployment": standing.name}
    return {
        "pizzeria_chunk_predictions": ("Predictions in the newest chunk.", [(own, float(chunk.rows))]),
        "pizzeria_chunk_labelled_predictions": ("Those whose truth is known.", [(own, float(chunk.labelled))]),
        "pizzeria_chunk_end_timestamp_seconds": ("Time of its last prediction.", [(own, _seconds(chunk.end))]),
    }


def _findings(standing: Standing) -> dict[str, Metric]:
    own = {"deployment": standing.name}
    all_of_them = standing.findings
    outcomes = [
        ({**own, "outcome": text}, float(sum(one.alert is alert for one in all_of_them)))
        for alert, text in ((True, "alert"), (False, "clear"), (None, "undecided"))
    ]
    named = [({**own, "kind": one.kind, "subject": one.subject, "method": one.method}, one) for one in all_of_them]
    performance = [
        ({**own, "metric": one.subject, "method": one.method}, one) for one in all_of_them if one.kind == "performance"
    ]
    return {
        "pizzeria_chunk_findings": ("Findings of the newest chunk, by outcome.", outcomes),
        "pizzeria_finding": ("What was measured in it.", [(labels, one.value) for labels, one in named]),
        "pizzeria_finding_alert": (
            "Whether it calls for an alert; absent where it could not be decided.",
            [(labels, None if one.alert is None else float(one.alert)) for labels, one in named],
        ),
        "pizzeria_estimated_performance": (
            "Performance in the newest chunk, estimated without labels.",
            [(labels, one.value) for labels, one in performance],
        ),
        "pizzeria_realised_performance": (
            "Performance in the newest chunk by its labels.",
            [(labels, one.realised) for labels, one in performance],
        ),
    }


def _registry() -> CollectorRegistry:
    try:
        from prometheus_client import CollectorRegistry
    except ImportError:
        raise PizzeriaError("this channel needs prometheus-client", hint="pip install 'pizzeria[alerts]'") from None
    return CollectorRegistry()


def _gauge(registry: CollectorRegistry, name: str, says: str, samples: Samples) -> None:
    """One metric with its samples; those without a value are left out, and a metric without samples is."""
    from prometheus_client import Gauge

    there = [(labels, value) for labels, value in samples if value is not None]
    if not there:
        return
    gauge = Gauge(name, says, tuple(there[0][0]), registry=registry)
    for labels, value in there:
        gauge.labels(**{key: clean(text, _LABEL) for key, text in labels.items()}).set(value)


def _publish(options: Options, registry: CollectorRegistry, name: str, part: str) -> None:
    from prometheus_client import generate_latest

    text = generate_latest(registry)
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in name)[:100]
    if options.folder is not None:
        path = options.folder / f"pizzeria_{safe}{f'.{part}' if part else ''}.prom"
        try:
            write_bytes(path, text)
        except OSError as error:
            raise PizzeriaError(
                f"the metrics cannot be written to {path}: {error.strerror or error}",
                hint="folder is that of node_exporter's --collector.textfile.directory, and must be writable",
            ) from error
    if options.pushgateway is not None:
        receiver = Receiver(options.pushgateway, f"the Pushgateway {options.pushgateway}")
        job = f"pizzeria_{part}" if part else "pizzeria"
        with connected(receiver) as client:
            post(client, receiver, text, _TEXT, method="PUT", path=f"/metrics/job/{job}/deployment/{safe}")


def _seconds(at: str) -> float | None:
    try:
        return datetime.fromisoformat(at).timestamp()
    except ValueError:
        return None
