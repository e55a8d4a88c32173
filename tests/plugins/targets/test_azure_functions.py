"""The target `azure_functions`: Azure's worker library serves the zip, and Azure's own libraries deploy it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from pizzeria import registry
from pizzeria.conformance.targets import TargetSuite
from pizzeria.spec.stages import PredictionLog, Serving

from .azure_cloud import AzureCloud
from .function_places import PYTHON, fast_zips, shared_packages


@pytest.mark.slow
class TestAzureFunctions(TargetSuite):
    plugin = "azure_functions"
    may_pause = "Azure starts the app anew when its settings change, and ends what is at work"
    _cloud: ClassVar[AzureCloud]
    _fast: ClassVar[Any]

    @classmethod
    def setup_class(cls) -> None:
        super().setup_class()
        cls._cloud = AzureCloud()
        cls._fast = fast_zips()
        cls._fast.__enter__()
        shared_packages(cls._folder / "state")

    @classmethod
    def teardown_class(cls) -> None:
        super().teardown_class()
        cls._fast.__exit__(None, None, None)
        cls._cloud.close()

    @classmethod
    def option_values(cls) -> Mapping[str, Any]:
        return {**cls._cloud.options, "python": PYTHON, "ready_timeout_s": 60}

    @classmethod
    def serving(cls) -> Serving:
        log = PredictionLog(use="lines", options=registry.load("prediction_logs", "lines").Options())
        return Serving(options=registry.load("servers", "bentoml").Options(), log=log)
