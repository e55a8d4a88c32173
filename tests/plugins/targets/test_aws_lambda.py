"""The target `aws_lambda`: against moto's Lambda, IAM, S3 and EventBridge, with real functions behind it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest

from pizzeria.conformance.corpus import Case, Send
from pizzeria.conformance.targets import TargetSuite
from pizzeria.contracts import DeploymentStatus
from pizzeria.errors import DeploymentError
from pizzeria_plugins.targets.lambda_app import calls
from pizzeria_plugins.targets.lambda_app.account import Account

from .lambda_cloud import Cloud
from .lambda_runtime import quiet_environment


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """AWS, empty; the environment leads there."""
    one = Cloud(tmp_path_factory.mktemp("lambda"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**quiet_environment(), "AWS_ENDPOINT_URL": one.address}.items():
            patch.setenv(name, value)
        yield one
    one.stop()


def through_alias(function: str) -> Send:
    """Sends events to the alias, as a function URL would."""

    def send(case: Case) -> tuple[int, bytes]:
        account = Account("eu-west-1", 60)
        event = calls.event(case.method, case.target, dict(case.headers), case.body)
        answer = calls.ask(account, function, "live", event)
        if not answer.status:
            raise DeploymentError(answer.trouble)
        return answer.status, answer.body

    return send


@pytest.mark.slow
@pytest.mark.usefixtures("cloud")
class TestAwsLambda(TargetSuite):
    plugin = "aws_lambda"
    options: ClassVar = {"region": "eu-west-1", "keep_versions": 50}  # moto numbers versions anew when one is deleted
    no_log = True

    def sender(self, status: DeploymentStatus) -> Send:
        return through_alias("conformance")
