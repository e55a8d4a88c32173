"""Starts a plugin of one's own: a small package whose tests pass as written, from `plugin_templates`."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from pizzeria import registry
from pizzeria.atomic import write_bytes
from pizzeria.errors import PluginError, nearest
from pizzeria.plugin_facts import snippet

_TEMPLATES = Path(__file__).parent / "plugin_templates"
STARTERS = {"target": "targets", "alert": "alerts", "prediction_log": "prediction_logs", "source": "sources"}
"""Kinds that can be started, as one says them, with the kind of `pizzeria.registry`."""
_MOST = 40


def start_plugin(kind: str, name: str, parent: Path) -> Path:
    """Write the package into `parent/pizzeria-<name>`.

    Args:
        kind: `target` or `targets`, say.
        name: What specs will write after `use:`.

    Returns:
        The package's folder.

    Raises:
        PluginError: there is no template of the kind, the name is no good or taken, or the folder exists.
    """
    singular = _singular(kind)
    check_name(name, STARTERS[singular])
    folder = parent / f"pizzeria-{name.replace('_', '-')}"
    if folder.exists():
        raise PluginError(f"{folder} exists", hint="choose another name, or another folder with --dir")
    for path, text in package(singular, name).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(target, text.encode())
    return folder


def package(singular: str, name: str) -> dict[str, str]:
    """The package's files by their paths."""
    files = {
        "pyproject.toml": "pyproject.toml.txt",
        "README.md": "README.md.txt",
        f"src/pizzeria_{name}/__init__.py": f"{singular}.py.txt",
        f"tests/test_{name}.py": f"{singular}_test.py.txt",
    }
    plugin = _filled((_TEMPLATES / f"{singular}.py.txt").read_text(), {"plugin_name": name})
    summary = plugin.removeprefix('"""').split(":")[0] + "."
    values = {
        "plugin_summary": summary,
        "plugin_snippet": snippet(STARTERS[singular], name, {}),
        "plugin_kind": STARTERS[singular],
        "plugin_name": name,
        "plugin-name": name.replace("_", "-"),
    }
    return {path: _filled((_TEMPLATES / template).read_text(), values) for path, template in files.items()}


def check_name(name: str, kind: str) -> None:
    """Whether a new plugin may have this name.

    Raises:
        PluginError: it is no name for a Python module, too long, or taken.
    """
    good = re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) and not keyword.iskeyword(name) and len(name) <= _MOST
    if not good:
        wanted = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:_MOST].strip("_")
        usable = re.fullmatch(r"[a-z][a-z0-9_]*", wanted) and not keyword.iskeyword(wanted)
        raise PluginError(
            f"{name!r} is no name for a plugin; lower-case letters, digits and single _ are, up to {_MOST}",
            hint=f"such as {wanted}" if usable else "such as fly_io",
        )
    taken = registry.find(kind).get(name, [])
    if taken:
        raise PluginError(f"there is a plugin {name!r} among the {kind}: {taken[0].origin}", hint="choose another name")


def _singular(kind: str) -> str:
    for singular, plural in STARTERS.items():
        if kind in (singular, plural):
            return singular
    raise PluginError(f"no plugin of kind {kind!r} can be started", hint=nearest(kind, STARTERS))


def _filled(text: str, values: dict[str, str]) -> str:
    for key, value in values.items():
        text = text.replace(key, value)
    return text
