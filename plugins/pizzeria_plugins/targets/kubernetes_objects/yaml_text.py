"""Objects as YAML that reads the same everywhere: PyYAML keeps YAML 1.1, and Go's readers differ."""

from __future__ import annotations

import re
from typing import Any

import yaml

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*")
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"}
_SHORT = 100


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Lists are indented under their key, as in Kubernetes' own documents."""
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """In quotes wherever a reader could take it for a number, a truth value or a date: 1e3, 0o17, y."""
    plain = len(text) < _SHORT and _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Dumper.add_representer(str, _text)


def to_yaml(value: Any) -> str:
    """One document.

    Example:
        >>> print(to_yaml({"tier": "1e3", "on": ["y", "kitchen"]}), end="")
        tier: "1e3"
        "on":
          - "y"
          - kitchen
    """
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=False, width=float("inf"))
