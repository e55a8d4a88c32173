"""Commands for people who write plugins: plugins list, show, new, test."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pizzeria.plugin_facts import Facts


@click.group()
def plugins() -> None:
    """See plugins, start one of your own, and test it."""


@plugins.command("list")
@click.argument("kind", required=False)
def plugins_list(kind: str | None) -> None:
    """All plugins that a spec may name, what each does, and where it is; broken ones with the reason."""
    from pizzeria.errors import PluginError, nearest
    from pizzeria.plugin_facts import facts_of
    from pizzeria.registry import KINDS

    if kind is not None and kind not in KINDS:
        raise PluginError(f"there is no kind {kind!r}", hint=nearest(kind, KINDS))
    for one in [kind] if kind else KINDS:
        click.echo(click.style(one, bold=True))
        for facts in facts_of(one):
            click.echo(f"  {facts.name:<20} {_short(facts.summary) or facts.origin}".rstrip())
            if facts.fault:
                click.echo(f"  {'':<20} {click.style('broken: ' + facts.fault, fg='red')}")
            elif not facts.origin.startswith("pizzeria:"):
                click.echo(f"  {'':<20} {facts.origin}")


@plugins.command("show")
@click.argument("kind_and_name", nargs=-1, required=True, metavar="[KIND] NAME")
def plugins_show(kind_and_name: tuple[str, ...]) -> None:
    """What a plugin does, its options with their defaults, and what to paste into a spec."""
    from pizzeria.errors import PluginError
    from pizzeria.plugin_facts import find_plugin

    if len(kind_and_name) > 2:
        raise click.UsageError("give the kind and the name of one plugin")
    name, kind = kind_and_name[-1], kind_and_name[0] if len(kind_and_name) == 2 else None
    facts = find_plugin(name, kind)
    click.echo(f"{click.style(facts.name, bold=True)}, of the {facts.kind}")
    click.echo(f"{facts.origin}{' ' + facts.version if facts.version else ''}")
    if facts.fault:
        raise PluginError(facts.fault, hint=facts.hint)
    click.echo(f"\n{facts.documentation}\n")
    _show_options(facts)
    for part, says in (facts.abilities or {}).items():
        click.echo(f"It {says}: {part}")
    click.echo(f"{'' if not facts.abilities else chr(10)}In a spec:\n\n{facts.snippet}")


@plugins.command("new")
@click.argument("kind")
@click.argument("name")
@click.option(
    "--dir",
    "parent",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder in which the package's folder is made.  [default: here]",
)
def plugins_new(kind: str, name: str, parent: Path) -> None:
    """Start a plugin: a small package that works, and whose tests pass as written.

    KIND is target, alert, prediction_log or source; NAME is what specs will write after `use:`.
    """
    from pizzeria.scaffolding import start_plugin

    folder = start_plugin(kind, name, parent)
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        click.echo(path)
    click.echo(f"next: cd {folder} && pip install --editable '.[test]' && pytest", err=True)


@plugins.command("test")
@click.argument("arguments", nargs=-1, required=True, metavar="[KIND] NAME_OR_PATH [OPTION=VALUE]...")
@click.option("--only-rendered", is_flag=True, help="Deploy nothing: check options and what a target renders.")
def plugins_test(arguments: tuple[str, ...], only_rendered: bool) -> None:
    """Run the conformance suite against a plugin: an installed one, one of ./plugins, or a file.

    A target deploys tiny bundles for real, good and broken ones, where its options say; give it those as
    OPTION=VALUE. What it deployed is removed in the end.
    """
    from pizzeria.plugin_trial import try_plugin

    named = [one for one in arguments if "=" not in one or Path(one).exists()]
    values = [one for one in arguments if one not in named]
    if not 1 <= len(named) <= 2:
        raise click.UsageError("name one plugin, maybe after its kind")
    trial = try_plugin(named[-1], named[0] if len(named) == 2 else None, values, only_rendered, _say)
    click.echo(f"\n{trial.passed} passed, {trial.failed} failed, {trial.skipped} skipped")
    if trial.failed or not trial.passed:
        sys.exit(1)


def _say(outcome: str, text: str, why: str) -> None:
    colour = {"passed": "green", "failed": "red", "skipped": "yellow"}[outcome]
    click.echo(f"{click.style(f'{outcome:<8}', fg=colour)}{text}")
    for line in why.splitlines():
        click.echo(f"        {line}")


def _short(text: str, most: int = 160) -> str:
    return text if len(text) <= most else f"{text[:most].rsplit(' ', 1)[0]} ..."


def _show_options(facts: Facts) -> None:
    import textwrap

    if not facts.options:
        click.echo("No options.\n")
        return
    width = max(len(row.key) for row in facts.options) + 2
    click.echo("Options:\n")
    for row in facts.options:
        default = row.default if row.default == "required" else f"default {row.default}"
        click.echo(f"  {row.key:<{width}}{row.type}, {default}")
        click.echo(
            textwrap.fill(row.meaning, 100, initial_indent=" " * (width + 2), subsequent_indent=" " * (width + 2))
        )
    click.echo()
