"""Every built-in target passes the suite that authors of targets run. A new target's subclass goes below."""

from __future__ import annotations

from typing import ClassVar

import pytest

from pizzeria.conformance.targets import TargetSuite


@pytest.mark.slow
class TestLocal(TargetSuite):
    plugin = "local"
    options: ClassVar = {"ready_timeout_s": 90}
