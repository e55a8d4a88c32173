"""Commands for people who write specs and plugins: plugins, schema."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def plugins() -> None:
    """See plugins, and start one of your own."""


@plugins.command("list")
def plugins_list() -> None:
    """All plugins that a spec may name, and where each is."""
    from pizzeria.registry import KINDS, find

    for kind in KINDS:
        click.echo(click.style(kind, bold=True))
        for name, found in find(kind).items():
            twice = click.style("  named twice, cannot be used", fg="red") if len(found) > 1 else ""
            click.echo(f"  {name:<20} {' and '.join(one.origin for one in found)}{twice}")


@click.command()
@click.option("--markdown", is_flag=True, help="Write the reference for people instead: docs/spec.md.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write it there instead of printing it.")
def schema(markdown: bool, out: Path | None) -> None:
    """Write the JSON Schema of a spec, for editors."""
    import json

    from pizzeria import atomic
    from pizzeria.schema import json_schema
    from pizzeria.spec_reference import markdown as reference

    text = reference() if markdown else json.dumps(json_schema(), indent=1) + "\n"
    if out is None:
        click.echo(text, nl=False)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(out, text.encode())
    click.echo(out)
