"""Every built-in target passes the suite that authors of targets run.

`local` is deployed for real here. The others are, each in the file that starts the place which it needs; what they
render is checked here, with all their text options under hostile values.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from pizzeria import registry
from pizzeria.conformance.targets import TargetSuite

from . import test_replay

_ELSEWHERE = "it is deployed for real in another file"


@pytest.mark.slow
class TestLocal(TargetSuite):
    plugin = "local"
    options: ClassVar = {"ready_timeout_s": 90}


class _Rendered(TargetSuite):
    no_place = no_build = _ELSEWHERE


class TestVm(_Rendered):
    plugin = "vm"
    options: ClassVar[Any] = {"host": "models.example.com"}


class TestContainer(_Rendered):
    plugin = "container"


class TestKubernetes(_Rendered):
    plugin = "kubernetes"
    options: ClassVar[Any] = {"image": "registry.example.com/rooms:1"}
    no_log = True


class TestAwsLambda(_Rendered):
    plugin = "aws_lambda"
    no_log = True


class TestAzureFunctions(_Rendered):
    plugin = "azure_functions"
    options: ClassVar[Any] = {
        "subscription": "11111111-2222-3333-4444-555555555555",
        "resource_group": "models",
        "function_app": "rooms-app",
        "storage_account": "roomsstore",
    }
    no_log = True


class TestGoogleFunctions(_Rendered):
    plugin = "google_functions"
    options: ClassVar[Any] = {"project": "models-123456", "bucket": "rooms-bundles"}
    no_log = True


def test_none_is_left_out() -> None:
    here = {one.plugin for one in globals().values() if isinstance(one, type) and issubclass(one, TargetSuite)}
    assert here - {None} | {test_replay.TestReplay.plugin} == set(registry.find("targets"))
