"""Commands for people who write specs: schema."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--markdown", is_flag=True, help="Write the reference for people instead: docs/spec.md.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write it there instead of printing it.")
def schema(markdown: bool, out: Path | None) -> None:
    """Write the JSON Schema of a spec, for editors."""
    import json

    from pizzeria import atomic, registry
    from pizzeria.schema import json_schema
    from pizzeria.spec_reference import markdown as reference

    for kind in registry.KINDS:
        for message in registry.broken(kind):
            click.echo(f"left out: {message}", err=True)
    text = reference() if markdown else json.dumps(json_schema(), indent=1) + "\n"
    if out is None:
        click.echo(text, nl=False)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(out, text.encode())
    click.echo(out)
