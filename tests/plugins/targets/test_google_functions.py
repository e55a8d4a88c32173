"""The target `google_functions`: functions-framework serves the zip, and Google's own libraries deploy it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from pizzeria import registry
from pizzeria.conformance.targets import TargetSuite
from pizzeria.spec.stages import PredictionLog, Serving

from .function_places import PYTHON, fast_zips, shared_packages
from .google_cloud import GoogleCloud


def lines_log() -> PredictionLog:
    return PredictionLog(use="lines", options=registry.load("prediction_logs", "lines").Options())


@pytest.mark.slow
class TestGoogleFunctions(TargetSuite):
    plugin = "google_functions"
    _cloud: ClassVar[GoogleCloud]
    _fast: ClassVar[Any]

    @classmethod
    def setup_class(cls) -> None:
        super().setup_class()
        cls._cloud = GoogleCloud()
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
        return {
            "project": "my-project",
            "bucket": "pizzeria-test",
            "python": PYTHON,
            "api_endpoint": cls._cloud.address,
            "ready_timeout_s": 60,
        }

    @classmethod
    def serving(cls) -> Serving:
        return Serving(options=registry.load("servers", "bentoml").Options(), log=lines_log())
