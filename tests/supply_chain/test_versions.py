"""docs/dependencies.md is what pyproject, the locks and this environment keep."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from pizzeria.shipment import LOCKS, read_lock

ROOT = Path(__file__).parents[2]
_ROW = re.compile(r"^\| ([\w.-]+) \| `([^`]+)` \| (.+) \|$", re.MULTILINE)
_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)", re.MULTILINE)


def tables() -> tuple[dict[str, SpecifierSet], dict[str, set[str]]]:
    """Allowed versions by package, and the locks that it must not be in."""
    versions, kept_out = (ROOT / "docs/dependencies.md").read_text().split("## Kept out")
    allowed = {canonicalize_name(name): SpecifierSet(text) for name, text, _ in _ROW.findall(versions)}
    never = {canonicalize_name(name): set(text.split()) for name, text, _ in _ROW.findall(kept_out)}
    return allowed, never


def required() -> list[Requirement]:
    """Every requirement of pyproject.toml, of every extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    return [Requirement(text) for text in texts if not text.startswith("pizzeria[")]


def near(*specifiers: SpecifierSet) -> Iterator[Version]:
    """Versions around every bound of some specifiers: below it, itself, and above it by a little and by a lot."""
    for one in (one for specifier in specifiers for one in specifier):
        parts = list(Version(one.version).release)
        yield Version(one.version)
        for i in range(len(parts)):
            for step in (-1, 1):
                if parts[i] + step >= 0:
                    yield Version(".".join(map(str, [*parts[:i], parts[i] + step, *([0] * (len(parts) - i - 1))])))
        yield Version(f"{one.version}.1")
    yield from (Version("0.0.1"), Version("9999"))


def admitted(requirement: Requirement, allowed: SpecifierSet) -> list[str]:
    """Versions that a requirement admits and the table refuses."""
    asked = requirement.specifier
    return sorted({str(one) for one in near(asked, allowed) if one in asked and one not in allowed})


def refused(lock: str, allowed: Mapping[str, SpecifierSet]) -> list[str]:
    """Pins of a lock that the table refuses."""
    pins = [(canonicalize_name(name), text) for name, text in _PIN.findall(lock)]
    assert pins
    return [f"{name}=={text}" for name, text in pins if name in allowed and Version(text) not in allowed[name]]


def locks() -> dict[str, str]:
    """Every lock of the project."""
    paths = (ROOT / "requirements.lock", ROOT / ".semgrep/requirements.lock")
    return {name: read_lock(name) for name in LOCKS} | {str(path.relative_to(ROOT)): path.read_text() for path in paths}


def test_no_requirement_admits_what_the_table_refuses() -> None:
    allowed, _ = tables()
    wrong = {
        str(one): admitted(one, allowed[name]) for one in required() if (name := canonicalize_name(one.name)) in allowed
    }
    assert {text: found for text, found in wrong.items() if found} == {}


def test_no_lock_pins_what_the_table_refuses() -> None:
    allowed, _ = tables()
    assert {name: found for name, text in locks().items() if (found := refused(text, allowed))} == {}


def test_nothing_is_installed_that_the_table_refuses() -> None:
    allowed, _ = tables()
    for name, specifier in allowed.items():
        try:
            assert Version(version(name)) in specifier, name
        except PackageNotFoundError:
            continue


def test_what_serves_lacks_what_it_must() -> None:
    _, never = tables()
    for name, forbidden in never.items():
        assert forbidden <= set(LOCKS), name
        for lock in forbidden:
            assert name not in {canonicalize_name(found) for found, _ in _PIN.findall(read_lock(lock))}, (name, lock)


def test_every_cap_and_ban_has_its_reason_and_every_row_its_package() -> None:
    allowed, never = tables()
    bounded = {
        canonicalize_name(one.name) for one in required() if any(s.operator in ("<", "!=", "==") for s in one.specifier)
    }
    assert bounded - allowed.keys() == set(), "docs/dependencies.md lacks a row"
    locked = {canonicalize_name(name) for name, _ in _PIN.findall((ROOT / "requirements.lock").read_text())}
    assert {*allowed, *never} - locked == set(), "nothing has these any more"


def test_torch_is_what_torchvision_asks_for() -> None:
    [pair] = [Requirement(text) for text in requires("torchvision") or () if Requirement(text).name == "torch"]
    pins = dict(_PIN.findall((ROOT / "requirements.lock").read_text()))
    assert version("torch") in pair.specifier
    assert (version("torch"), version("torchvision")) == (pins["torch"], pins["torchvision"])


@pytest.mark.parametrize("bad", ["2.6.2", "2.6.3", "2.5.9", "3.0"])
def test_a_planted_ban_is_seen(bad: str) -> None:
    allowed, _ = tables()
    planted = re.sub(
        r"^pytorch-lightning==\S+", f"pytorch-lightning=={bad}", locks()["requirements.lock"], flags=re.MULTILINE
    )
    assert refused(planted, allowed) == [f"pytorch-lightning=={bad}"]


@pytest.mark.parametrize(
    ("requirement", "admits"),
    [
        ("pytorch-lightning>=2.6,<3", "2.6.2"),
        ("pytorch-lightning>=2.6,!=2.6.2,<3", "2.6.3"),
        ("pytorch-lightning>=2.6,!=2.6.2,!=2.6.3", "3"),
        ("omegaconf>=2.2,<2.4", "2.2"),
        ("nannyml>=0.13.1", "0.13.2"),
        ("hydra-core", "0.0.1"),
    ],
)
def test_a_planted_requirement_that_admits_a_ban_is_seen(requirement: str, admits: str) -> None:
    allowed, _ = tables()
    one = Requirement(requirement)
    assert admits in admitted(one, allowed[canonicalize_name(one.name)])
