"""The target `aws_lambda`: against moto's Lambda, IAM, S3 and EventBridge, with real functions behind it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pizzeria import load_spec
from pizzeria.conformance import tiny_bundles
from pizzeria.conformance.corpus import Case, Send
from pizzeria.conformance.targets import TargetSuite
from pizzeria.contracts import DeploymentStatus, Release
from pizzeria.errors import DeploymentError
from pizzeria.inference.bundle import open_bundle
from pizzeria.spec.deployment import Schedule
from pizzeria.spec.stages import PredictionLog, Serving
from pizzeria_plugins.prediction_logs import lines, sqlite
from pizzeria_plugins.servers import bentoml
from pizzeria_plugins.servers.settings import Settings
from pizzeria_plugins.targets import aws_lambda
from pizzeria_plugins.targets.aws_lambda import Options
from pizzeria_plugins.targets.lambda_app import calls
from pizzeria_plugins.targets.lambda_app.account import Account

from .lambda_cloud import Cloud
from .lambda_runtime import kept_packages, quiet_environment

SECRET = "a-secret-of-the-kitchen"


class Said:
    """Keeps what a target says."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


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

    account = Account("eu-west-1", 60)  # making a client takes longer than asking with it

    def send(case: Case) -> tuple[int, bytes]:
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

    @classmethod
    def setup_class(cls) -> None:
        super().setup_class()
        (cls._folder / "state" / ".functions").symlink_to(kept_packages())

    def sender(self, status: DeploymentStatus) -> Send:
        return through_alias("conformance")


@pytest.fixture
def make(tmp_path: Path, cloud: Cloud) -> Iterator[Callable[..., Release]]:
    """Releases of a bundle; AWS is empty."""
    cloud.reset()
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / ".functions").symlink_to(kept_packages())

    def make(bundle: Path = tiny_bundles.OLDER, schedule: Schedule | None = None, **serving: Any) -> Release:
        log = {"log": PredictionLog(use="lines", options=lines.Options())}
        return Release(
            name="rooms",
            bundle=bundle,
            sha256=open_bundle(bundle).sha256,
            serving=Serving(options=bentoml.Options(), **{**log, **serving}),
            server=bentoml,
            log_folder=tmp_path / "log",
            state=tmp_path / "state",
            task="object_detection",
            schedule=schedule or Schedule(),
        )

    yield make
    cloud.reset()


def client(service: str) -> Any:
    import boto3

    return boto3.client(service, region_name="eu-west-1")


@pytest.mark.slow
def test_all_that_it_makes_and_takes_away(make: Callable[..., Release], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KITCHEN_KEYS", f"{SECRET},another-key-of-the-kitchen")
    client("s3").create_bucket(Bucket="kitchen", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    options = Options(
        region="eu-west-1",
        url="public",
        bucket="kitchen",
        environment={"LEVEL": "info"},
        log_retention_days=7,
        monitor_image="registry.example.com/monitor:1",
    )
    release = make(keys_from="KITCHEN_KEYS", schedule=Schedule(monitor="6h"))
    progress = Said()
    done = aws_lambda.apply(release, options, progress)
    assert (done.state, done.sha256) == ("live", release.sha256)
    assert done.address.startswith("https://")
    assert SECRET not in "".join(progress.said) + done.detail
    function = client("lambda").get_function(FunctionName="rooms", Qualifier="live")["Configuration"]
    assert function["Environment"]["Variables"]["KITCHEN_KEYS"].startswith(SECRET)
    assert function["Environment"]["Variables"]["LEVEL"] == "info"
    assert (function["MemorySize"], function["Timeout"]) == (1769, 35)
    policy = client("lambda").get_policy(FunctionName="rooms", Qualifier="live")["Policy"]
    assert "lambda:InvokeFunctionUrl" in policy
    role = client("iam").get_role_policy(RoleName="pizzeria-rooms", PolicyName="log")["PolicyDocument"]
    [statement] = role["Statement"]
    assert sorted(statement["Action"]) == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert all(":log-group:/aws/lambda/rooms" in one for one in statement["Resource"])
    [group, _] = client("logs").describe_log_groups()["logGroups"]
    assert (group["logGroupName"], group["retentionInDays"]) == ("/aws/lambda/rooms", 7)
    [rule] = client("events").list_rules()["Rules"]
    assert (rule["Name"], rule["ScheduleExpression"]) == ("rooms-monitor", "rate(6 hours)")
    [target] = client("events").list_targets_by_rule(Rule="rooms-monitor")["Targets"]
    monitor = client("lambda").get_function(FunctionName="rooms-monitor")["Configuration"]
    assert target["Arn"] == monitor["FunctionArn"]
    [zipped] = client("s3").list_objects_v2(Bucket="kitchen")["Contents"]
    assert zipped["Key"].startswith("pizzeria/rooms/")

    assert aws_lambda.status("rooms", options, release.state).state == "live"
    plain = options.model_copy(update={"url": "none", "monitor_image": None})
    again = aws_lambda.apply(replace(release, schedule=Schedule()), plain, progress)
    assert again.detail == f"{done.detail}, was live already"
    assert again.address == "eu-west-1:rooms:live"
    assert not client("events").list_rules()["Rules"], "what is no longer asked for goes"

    for _ in range(2):
        aws_lambda.remove("rooms", options, release.state)
        assert aws_lambda.status("rooms", options, release.state).state == "absent"
    assert not client("lambda").list_functions()["Functions"]
    assert not client("iam").list_roles()["Roles"]
    assert "Contents" not in client("s3").list_objects_v2(Bucket="kitchen")
    assert client("logs").describe_log_groups()["logGroups"], "logs stay"


@pytest.mark.slow
def test_what_fails_says_why_and_changes_nothing(
    make: Callable[..., Release], cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    options, progress = Options(region="eu-west-1"), Said()
    with pytest.raises(DeploymentError, match="the environment of this command lacks it") as told:
        aws_lambda.apply(make(keys_from="KITCHEN_KEYS"), options, progress)
    assert told.value.hint == "export KITCHEN_KEYS=..."

    cloud.refuse = lambda method, path, body: (
        (403, "AccessDeniedException", "not allowed") if method == "POST" and path.endswith("/functions") else None
    )
    with pytest.raises(DeploymentError, match="the function rooms cannot be made: AccessDeniedException") as told:
        aws_lambda.apply(make(), options, progress)
    assert "deployer-policy.json" in told.value.hint

    cloud.reset()
    refusals = iter([(409, "ResourceConflictException", "an update is in progress")] * 2)
    cloud.refuse = lambda method, path, body: next(refusals, None) if path.endswith("/versions") else None
    assert aws_lambda.apply(make(), options, progress).state == "live", "one that is busy is asked again"

    with pytest.raises(DeploymentError, match=r"model\.onnx cannot be loaded"):
        aws_lambda.apply(make(tiny_bundles.unable_to_start(tmp_path / "bad")), options, progress)
    now = aws_lambda.status("rooms", options, tmp_path / "state")
    assert (now.state, now.sha256) == ("live", make().sha256)

    client("events").put_rule(Name="rooms-monitor", ScheduleExpression="rate(1 day)")
    client("events").put_targets(Rule="rooms-monitor", Targets=[{"Id": "mine", "Arn": arn("rooms")}])
    assert aws_lambda.apply(make(), options, progress).state == "live", "a rule of somebody else's is left alone"
    assert client("events").list_rules()["Rules"]

    client("lambda").tag_resource(Resource=arn("rooms"), Tags={"pizzeria": "another"})
    for act in (
        lambda: aws_lambda.apply(make(), options, progress),
        lambda: aws_lambda.remove("rooms", options, tmp_path / "state"),
    ):
        with pytest.raises(DeploymentError, match="is of the deployment another"):
            act()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(DeploymentError, match="Unable to locate credentials"):
        aws_lambda.status("rooms", options, tmp_path / "state")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(DeploymentError, match="Could not connect"):
        aws_lambda.status("rooms", options, tmp_path / "state")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(DeploymentError, match="no AWS region"):
        aws_lambda.status("rooms", Options(), tmp_path / "state")


def arn(function: str) -> str:
    return str(client("lambda").get_function(FunctionName=function)["Configuration"]["FunctionArn"])


def test_what_lambda_cannot_run_is_refused_before_anything_is_done(make: Callable[..., Release]) -> None:
    options = Options()
    for release, said in (
        (make(log=PredictionLog(options=sqlite.Options())), "serving.log: 'sqlite' keeps files"),
        (make(schedule=Schedule(maintain="1d")), "deployment.schedule.maintain: what it needs is too large"),
    ):
        with pytest.raises(DeploymentError, match=said):
            aws_lambda.render(release, options)
    with pytest.raises(DeploymentError, match="would write it into files"):
        aws_lambda.render(make(keys_from="KEYS"), Options(environment={"KEYS": "abc"}))
    with pytest.raises(DeploymentError, match="is too large: Lambda takes 4096 bytes"):
        aws_lambda.render(make(), Options(environment={"LONG": "x" * 5000}))
    for wrong in (
        {"environment": {"AWS_REGION": "x"}},
        {"environment": {"LD_LIBRARY_PATH": "x"}},
        {"environment": {"A=B": "x"}},
        {"environment": {"PIZZERIA_SERVICE": "x"}},
        {"region": "eu-west-1; rm -rf /"},
        {"role": "arn:aws:iam::1:role/x"},
        {"function_name": "a b"},
        {"form": "image"},
        {"image": "x:1"},
        {"bucket": "../x"},
        {"kms_key": "x"},
        {"monitor_image": "a b"},
    ):
        with pytest.raises(ValidationError):
            Options(**wrong)


TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=30)


@given(
    variables=st.dictionaries(
        st.from_regex(r"[A-Za-z][A-Za-z0-9_]{1,10}", fullmatch=True).filter(
            lambda name: not name.startswith(("AWS_", "LAMBDA_", "PIZZERIA_")) and name not in ("LANG", "PATH", "TZ")
        ),
        TEXT,
        max_size=4,
    ),
    name=st.from_regex(r"[A-Za-z0-9_-]{1,50}", fullmatch=True),
    form=st.sampled_from(["zip", "image"]),
    key=st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True),
    url=st.sampled_from(["none", "iam", "public"]),
)
@settings(max_examples=60)
def test_what_is_rendered_reads_back_as_it_was_given(
    variables: dict[str, str], name: str, form: str, key: str, url: str, make: Callable[..., Release]
) -> None:
    variables = {one: value for one, value in variables.items() if value.isprintable() and one != key}
    image = {"image": "registry.example.com:5000/rooms:1"} if form == "image" else {}
    options = Options(
        environment=variables,
        function_name=name,
        form=form,
        url=url,
        monitor_image="registry.example.com/m@sha256:" + "a" * 64,
        **image,
    )
    release = make(keys_from=key, schedule=Schedule(monitor="15m"))
    rendered = aws_lambda.render(release, options)
    template = yaml.safe_load(rendered.files["template.yaml"])
    service = template["Resources"]["Service"]["Properties"]
    told = service["Environment"]["Variables"]
    assert {one: value for one, value in told.items() if one != key} == variables
    assert template["Parameters"][told[key]["Ref"]] == {
        "Type": "String",
        "NoEcho": True,
        "Description": f"The value of {key}",
    }
    assert service["FunctionName"] == name
    assert ("CodeUri" in service) == (form == "zip")
    assert (
        service.get("FunctionUrlConfig", {}).get("AuthType") == {"iam": "AWS_IAM", "public": "NONE", "none": None}[url]
    )
    assert (
        template["Resources"]["Monitor"]["Properties"]["Events"]["Again"]["Properties"]["Schedule"]
        == "rate(15 minutes)"
    )
    for file, text in rendered.files.items():
        if file.endswith(".json"):
            json.loads(text)
        if file.endswith(".py"):
            compile(text, file, "exec")
    settings_there = Settings.of_environment(json.loads(rendered.files["function/service.json"]))
    assert (settings_there.keys_from, settings_there.log) == (key, "lines")


def test_the_shipped_choice_of_deployment_logs_lines() -> None:
    spec = load_spec(["experiment=amenities", "deployment=aws_lambda", "deployment.region=eu-west-1"])
    assert spec.serving.log is not None
    assert spec.serving.log.use == "lines"
    assert spec.deployment.options == Options(region="eu-west-1")
