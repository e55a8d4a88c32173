"""No error tells a secret, whoever put it there."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock
from urllib.parse import quote

import pytest
from click.testing import CliRunner

from pizzeria.errors import DataError
from pizzeria.hiding import hidden, said

PASSWORD = "to/ma+to=77@x"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"postgresql://ann:{quote(PASSWORD, safe='')}@db/kitchen", "postgresql://ann:[hidden]@db/kitchen"),
        ("is no address: postgresql://ann:to/ma+to@db/a", "is no address: postgresql://ann:[hidden]@db/a"),
        ("http://there:8080/photo@2x.png is gone", "http://there:8080/photo@2x.png is gone"),
        ("redis://:tomato77@cache:6379/0", "redis://:[hidden]@cache:6379/0"),
        ("https://ghp_tomato@github.com/a", "https://[hidden]@github.com/a"),
        ("ssh://git@github.com/a", "ssh://git@github.com/a"),
        ("host=db password='to ma to' user=ann", "host=db password=[hidden] user=ann"),
        ("https://there/a?page=2&X-Amz-Signature=tomato&b=1", "https://there/a?page=2&X-Amz-Signature=[hidden]&b=1"),
        (
            "export DSN=postgresql://user:password@host:5432/name",
            "export DSN=postgresql://user:password@host:5432/name",
        ),
        ("3 rows of http://there/a.csv:17: price=12", "3 rows of http://there/a.csv:17: price=12"),
    ],
)
def test_what_opens_a_door_is_hidden(text: str, told: str) -> None:
    assert hidden(text) == told


def test_values_of_the_environment_are_hidden_by_their_names(tmp_path: Path) -> None:
    there = tmp_path / "key.json"
    there.touch()
    planted = {
        "AWS_SECRET_ACCESS_KEY": "Zq/+abcdefgh",
        "KITCHEN_KEYS": "first-key-of-all,second-key-of-all",
        "KITCHEN_DB": f"postgresql://ann:{quote(PASSWORD, safe='')}@db/kitchen",
        "GOOGLE_APPLICATION_CREDENTIALS": str(there),
        "MONKEY": "banana-banana",
        "PIN_KEY": "1234",
    }
    with mock.patch.dict(os.environ, planted):
        assert hidden("second-key-of-all, Zq/+abcdefgh") == "[hidden], [hidden]"
        assert hidden(f"for user ann: {PASSWORD}, {quote(PASSWORD, safe='')}") == "for user ann: [hidden], [hidden]"
        # Where a secret lies is none, and what stands in ordinary words cannot be hidden.
        assert hidden(f"{there} banana-banana 1234") == f"{there} banana-banana 1234"


def test_each_error_passes_through_it() -> None:
    error = DataError("no answer from mysql://ann:tomato77@db", hint="try mysql://ann:tomato77@db2")
    assert (error.message, error.hint) == ("no answer from mysql://ann:[hidden]@db", "try mysql://ann:[hidden]@db2")
    assert said(ValueError("password=tomato77")) == "ValueError: password=[hidden]"
    assert said(ValueError()) == "ValueError"


def test_nor_does_what_a_driver_raised_tell_it_when_debugging(monkeypatch: pytest.MonkeyPatch) -> None:
    import click

    from pizzeria.cli.group import Commands

    @click.group(cls=Commands)
    def main() -> None: ...

    @main.command()
    def ask() -> None:
        try:
            raise OSError("mysql://ann:tomato77@db is gone")
        except OSError as error:
            raise DataError("the database is gone") from error

    monkeypatch.setenv("PIZZERIA_DEBUG", "1")
    found = CliRunner().invoke(main, ["ask"])
    assert found.exit_code == 4
    assert "OSError: mysql://ann:[hidden]@db is gone" in found.output
