"""A whole life cycle as commands, each as a user types it, and commands that fail where a driver may tell too much."""

from __future__ import annotations

import os
import signal
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pizzeria.ports import free_port
from pizzeria.torture.warm import Warm

ASK = "pizzeria.torture.secrecy.asking"
_KEYS = "KITCHEN_KEYS"
_JUDGED = (0, 10, 11)
"""Of `monitor`: well, an alert, undecided."""
_REFUSED = range(1, 10)
_TARGETS: dict[str, tuple[str, ...]] = {
    "container": (),
    "kubernetes": ("image=registry.example/shop:1",),
    "aws_lambda": (),
    "google_functions": ("project=kitchen", "bucket=kitchen-models"),
    "azure_functions": (
        *("subscription=00000000-0000-0000-0000-000000000000", "resource_group=kitchen"),
        *("function_app=kitchen-shop", "storage_account=kitchenmodels"),
    ),
    "vm": (),
}
"""Each with what it must be told; its texts are rendered, and nobody is called."""
_ALERTS: list[dict[str, Any]] = [
    {"use": "slack"},
    {"use": "webhook", "headers": {"Authorization": "HOOK_TOKEN"}, "signature_variable": "HOOK_SIGNS"},
    {"use": "pagerduty", "address": "http://127.0.0.1:1"},
    {
        **{"use": "email", "host": "127.0.0.1", "port": 1, "security": "starttls", "sender": "pizza@example.com"},
        **{"to": ["ann@example.com"], "user_variable": "MAIL_USER", "password_variable": "MAIL_PASSWORD"},
    },
]
"""Channels whose secrets are in the environment; none of them can be reached."""


@dataclass
class Life:
    """Commands in a folder, and what each said.

    Attributes:
        process: That they are forked off.
        folder: Where they work; what they say is in `said/`.
        failed: Those that ended otherwise than they should.
        arguments: What processes of this life were called with, as anybody on the machine sees it.
    """

    process: Warm
    folder: Path
    environment: Mapping[str, str]
    failed: list[str] = field(default_factory=list)
    arguments: list[bytes] = field(default_factory=list)
    _count: int = 0

    def command(
        self,
        *arguments: str,
        codes: Container[int] = (0,),
        module: str = "pizzeria.cli",
        learn: bool = False,
        env: Mapping[str, str] | None = None,
    ) -> bool:
        """Run a command to its end; whether it ended with one of the codes, and not with a traceback.

        Args:
            learn: Whether those after it begin with what it has imported.
            env: Further variables.
        """
        log = self._log(arguments, module)
        environment = {**self.environment, **(env or {})}
        if learn:
            code = self.process.learn(self.folder, arguments, environment, log)
        else:
            code = self.process.wait(self.process.start(self.folder, arguments, environment, log, module))
        text = log.read_text(errors="replace")
        well = code in codes and ("Traceback (most recent call last)" not in text or "PIZZERIA_DEBUG" in environment)
        if not well:
            self.failed.append(f"pizzeria {' '.join(arguments)} ended with {code}: {text.strip()[-400:]}")
        return well

    def whole(self, spec: Path, *, briefly: bool) -> None:
        """From data to a service and round again, up to its end.

        Args:
            spec: Of `workplace`; it is given keys, channels of alerts and labels to wait for.
            briefly: No second model, nothing is watched, and two targets are rendered.
        """
        name, photos = spec.stem, "rooms" in spec.read_text()
        url = f"http://127.0.0.1:{_prepared(spec)}"
        if not self.command("run", spec.name, learn=True):
            return
        inputs = "photos" if photos else "new.csv"
        if photos:
            shown = self.folder / "photos"
            shown.mkdir(exist_ok=True)
            for path in sorted((self.folder / "runs").rglob("photos/*.jpg"))[:5]:
                (shown / path.name).write_bytes(path.read_bytes())
        else:
            lines = (self.folder / "rows.csv").read_text().splitlines()[:150]
            (self.folder / inputs).write_text("\n".join(line.rpartition(",")[0] for line in lines) + "\n")
        self.command("predict", "--url", url, "--key-from", _KEYS, inputs, "--out", f"{name}.json")
        pages = ("/", "/docs", "/openapi.json", "/metrics", "/readyz", "/nowhere", "/predict")
        self.command(url, *pages, module=ASK)
        self.command(url, *pages, "--key", _KEYS, module=ASK)
        self.arguments += _arguments(self.environment["PIZZERIA_STORE"])
        if not briefly:
            self._watch(name, photos)
        self.command("alerts", name, "--test", codes=range(10))
        for what in ("status", "history", "report", "alerts", "sbom"):
            self.command(what, name)
        for target, told in list(_TARGETS.items())[: 2 if briefly else None]:
            settings = [f"deployment={target}", *(f"deployment.{one}" for one in told), "serving.log=null"]
            self.command("deploy", name, *settings, "--dry-run")
        if not briefly:
            self._second_model(spec, url, inputs)
        self._pages_of_ui(name)
        self.command("stop", name)

    def troubles(self, *, briefly: bool) -> None:
        """Commands that fail: what is said of it comes from drivers, which know the secrets.

        Args:
            briefly: Without those that take long.
        """
        folder = self.folder
        (folder / "orders.yaml").write_text(_orders(folder / "shop.yaml"))
        (folder / "looked_up.yaml").write_text((folder / "shop.yaml").read_text() + "\nnotes: ${oc.env:HF_TOKEN}\n")
        for verbose in (None, {"PIZZERIA_DEBUG": "1"}):
            self.command("run", "orders.yaml", codes=_REFUSED, env=verbose)
            self.command("run", "orders.yaml", "data.url_from=BROKEN_DB", codes=_REFUSED, env=verbose)
            if not briefly:
                log = ("serving.log.use=postgresql", "serving.log.dsn_from=BROKEN_DB")
                self.command("deploy", "shop", *log, codes=_REFUSED, env=verbose)
        if not briefly:
            # Shared stages are a help: a run goes on without them, and says why.
            self.command("run", "shop.yaml", env={"PIZZERIA_ARTIFACTS": self.environment["PIZZERIA_ARTIFACTS_TRIED"]})
            self.command("stop", "shop")
        secret = self.environment["KITCHEN_DB"].replace("postgresql", "http")
        self.command("predict", "--url", secret, "new.csv", codes=_REFUSED)
        self.command("run", "looked_up.yaml", codes=_REFUSED)
        self.command("run", "shop.yaml", f"data.path={self.environment['ORDERS_DB']}/a.csv", codes=_REFUSED)
        self.command("predict", "--url", "http://127.0.0.1:1", "--key-from", "HF_TOKEN", "new.csv", codes=_REFUSED)

    def end(self) -> None:
        """End what is still at work for this store."""
        import psutil

        mine = [os.getpid(), self.process.pid]
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if (
                    process.pid not in mine
                    and process.environ().get("PIZZERIA_STORE") == self.environment["PIZZERIA_STORE"]
                ):
                    os.kill(process.pid, signal.SIGKILL)

    def _watch(self, name: str, photos: bool) -> None:
        """Monitoring and maintenance, with labels to learn from where they are at hand."""
        if not photos:
            known = (line.rpartition(",") for line in (self.folder / "rows.csv").read_text().splitlines()[1:150])
            labels = [f"{row.partition(',')[0]},{answer}" for row, _, answer in known]
            (self.folder / "labels.csv").write_text("\n".join(["input_id,class", *labels]) + "\n")
            self.command("labels", "add", name, "labels.csv")
        self.command("monitor", name, codes=_JUDGED, learn=True)
        self.command("maintain", name)

    def _second_model(self, spec: Path, url: str, inputs: str) -> None:
        """A log that is out of reach; then another model, and the first one again."""
        self.command("deploy", spec.stem, "serving.log.use=postgresql", "serving.log.dsn_from=KITCHEN_DB")
        self.command("predict", "--url", url, "--key-from", _KEYS, inputs)
        self.command("monitor", spec.stem, codes=_REFUSED)
        self.command("deploy", spec.stem)
        second = spec.with_name(f"second_{spec.name}")
        data = yaml.safe_load(spec.read_text())
        data["training"]["max_epochs"] += 1
        second.write_text(yaml.safe_dump(data, sort_keys=False))
        self.command("run", second.name)
        self.command("rollback", spec.stem)

    def _pages_of_ui(self, name: str) -> None:
        port = free_port()
        pid = self.process.start(
            self.folder, ["ui", "--port", str(port), "--actions"], self.environment, self._log(["ui"], "pizzeria.cli")
        )
        paths = [
            f"/{name}/{page}" for page in ("runs", "deployment", "monitoring", "alerts", "data", "decisions", "labels")
        ]
        self.command(f"http://127.0.0.1:{port}", "/", *paths, "--crawl", "20", module=ASK)
        os.kill(pid, signal.SIGTERM)
        self.process.wait(pid)

    def _log(self, arguments: Sequence[str], module: str) -> Path:
        self._count += 1
        (self.folder / "said").mkdir(exist_ok=True)
        kind = "asking" if module == ASK else arguments[0]
        return self.folder / "said" / f"{self._count:02d}-{kind}.txt"


def _prepared(spec: Path) -> int:
    """Let a spec name variables with secrets wherever one may; returns the port of its service."""
    data = yaml.safe_load(spec.read_text())
    data["serving"] = {"keys_from": _KEYS}
    data["monitoring"]["alerts"] = _ALERTS
    data["maintenance"] = {"retrain_every": "1s", "at_most_every": "1s", "least_labels": 20}
    spec.write_text(yaml.safe_dump(data, sort_keys=False))
    return int(data["deployment"]["port"])


def _orders(shop: Path) -> str:
    """The same spec with its data in a database that is not there."""
    data = yaml.safe_load(shop.read_text())
    data["name"] = "orders"
    data["defaults"][0] = {"override /data": "sql"}
    data["data"] = {"url_from": "ORDERS_DB", "table": "orders", "row_id": "row_id"}
    return yaml.safe_dump(data, sort_keys=False)


def _arguments(store: str) -> list[bytes]:
    """The command lines of all processes that work for a store."""
    import psutil

    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("PIZZERIA_STORE") == store:
                found.append("\0".join(process.cmdline()).encode())
    return found
