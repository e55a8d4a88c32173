"""The command `pizzeria`. Each command imports what it needs when it runs, so that `--help` is quick."""

from __future__ import annotations

import os
from pathlib import Path

import click

from pizzeria.cli import authoring, labels, looking, plugins, predicting, runs, services, watching
from pizzeria.cli.alerts import alerts
from pizzeria.cli.data import data
from pizzeria.cli.gc import gc
from pizzeria.cli.group import DEBUG, Commands
from pizzeria.cli.init import init
from pizzeria.cli.sbom import sbom
from pizzeria.cli.sign import sign
from pizzeria.cli.simulate import simulate
from pizzeria.cli.sweeps import compare
from pizzeria.cli.torture import torture
from pizzeria.cli.ui import ui
from pizzeria.cli.verify_artifacts import verify_artifacts


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="pizzeria", message="pizzeria %(version)s")
@click.option("--store", type=click.Path(file_okay=False, path_type=Path), help="Folder of all runs.  [default: runs]")
@click.option("-v", "--verbose", is_flag=True, help="Show where a plugin failed (as PIZZERIA_DEBUG=1 does).")
def main(store: Path | None, verbose: bool) -> None:
    """One YAML spec for the whole life of a machine-learning model.

    SPEC is `experiment=NAME` (one of conf/experiment, yours or shipped) or the path of a YAML file, followed by any
    overrides: `pizzeria run experiment=amenities training.max_epochs=5`.
    """
    if store is not None:
        os.environ["PIZZERIA_STORE"] = str(store)
    if verbose:
        os.environ[DEBUG] = "1"


for _command in (
    init,
    data,
    *(runs.validate, runs.plan, runs.run, compare, runs.report, runs.demo),
    *(services.deploy, services.promote, services.serve, services.stop, services.rollback),
    *(looking.status, looking.history, looking.diff),
    *(predicting.predict, predicting.verify),
    *(watching.monitor, watching.maintain, watching.approve, watching.cycle),
    *(alerts, gc, simulate, ui, torture, verify_artifacts),
    labels.labels,
    *(plugins.plugins, authoring.schema, sign, sbom),
):
    main.add_command(_command)
