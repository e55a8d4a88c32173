"""Terraform's JSON syntax (`*.tf.json`): plain JSON, in whose strings `${` and `%{` begin a template."""

from __future__ import annotations

import json
from typing import Any


def literal(text: str) -> str:
    """Any text as a string that Terraform takes as it is.

    Example:
        >>> literal("costs ${5} or 5%{")
        'costs $${5} or 5%%{'
    """
    return text.replace("${", "$${").replace("%{", "%%{")


def literals(values: dict[str, str]) -> dict[str, str]:
    """The same for the values of a map.

    Example:
        >>> literals({"GREETING": "${x}"})
        {'GREETING': '$${x}'}
    """
    return {name: literal(value) for name, value in values.items()}


def text_of(blocks: dict[str, Any]) -> str:
    """A file's text."""
    return json.dumps(blocks, indent=2, ensure_ascii=False) + "\n"
