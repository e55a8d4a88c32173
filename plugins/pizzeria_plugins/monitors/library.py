"""NannyML, opened quietly: it phones nobody, reads no `.env` file, drags in no torch, and keeps its notes to itself."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType


def load() -> ModuleType:
    """Import NannyML, once per process.

    NannyML imports FLAML, and FLAML imports PyTorch Lightning and torch for a forecaster that nothing here uses, but
    does without them where they are missing. They are hidden from it while it loads: 2.5 s instead of 6 s.
    NannyML's import also loads any `.env` file that it finds on the way up from its own folder: switched off.
    """
    if "nannyml" in sys.modules:
        return sys.modules["nannyml"]
    dotenv = os.environ.get("PYTHON_DOTENV_DISABLED")
    os.environ["PYTHON_DOTENV_DISABLED"] = "1"
    hidden = "pytorch_lightning" not in sys.modules
    if hidden:
        sys.modules["pytorch_lightning"] = None  # type: ignore[assignment]
    try:
        with quiet():
            return import_module("nannyml")
    finally:
        if hidden:
            del sys.modules["pytorch_lightning"]
        if dotenv is None:
            del os.environ["PYTHON_DOTENV_DISABLED"]
        else:
            os.environ["PYTHON_DOTENV_DISABLED"] = dotenv


@contextmanager
def quiet() -> Iterator[None]:
    """Run NannyML: no warnings, no log lines (what they say is said by findings), and strings as it knows them."""
    import pandas

    logger = logging.getLogger("nannyml")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # NannyML predates the strings of pandas 3: its DLE fails on them, and its encoders crawl.
            with pandas.option_context("future.infer_string", False):
                yield
    finally:
        logger.setLevel(level)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let NumPy's global generator begin at `seed`, and give it back as it was.

    NannyML draws from it for the sampling error of average precision, so that the same records could get two verdicts.
    """
    import numpy as np

    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)
