"""Installed packages of functions, for all tests here."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..targets.lambda_runtime import kept_packages


@pytest.fixture(scope="session")
def cache() -> Path:
    return kept_packages()
