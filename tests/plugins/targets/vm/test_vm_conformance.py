"""The target `vm` passes the suite of all targets, deployed for real with BentoML's service."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pizzeria.conformance.targets import TargetSuite

from .conftest import Machine


@pytest.mark.slow
class TestVm(TargetSuite):
    plugin = "vm"
    name = "suite"

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def place(cls, machine: Machine) -> Iterator[None]:
        """The machine that the tests deploy to; what is left there goes before it stops."""
        cls.options = machine.options().model_dump()
        yield
        cls.guarded().remove(cls.name, cls.make_options(), cls._folder)


for _name in list(vars(TargetSuite)):
    # What is rendered is checked where all targets are; here it would cost the same once more.
    if _name.startswith("test_") and ("render" in _name or "hostile" in _name or "build" in _name):
        setattr(TestVm, _name, None)
