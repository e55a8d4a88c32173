"""Libraries that send usage data unless they are told not to are told so, before any of them is imported."""

from __future__ import annotations

import os

OFF = {
    "BENTOML_DO_NOT_TRACK": "True",
    "DO_NOT_TRACK": "true",
    "GX_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "NML_DISABLE_USAGE_LOGGING": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Environment variables, as BentoML, Great Expectations, Hugging Face's hub, MLflow, NannyML, ONNX Runtime (from 1.29)
and Ray read them."""


def turn_off() -> None:
    """Set them for this process and its children, whatever they were."""
    os.environ.update(OFF)
