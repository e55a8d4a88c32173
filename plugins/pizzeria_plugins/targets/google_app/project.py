"""The files of a function on Google Cloud: pure text, and the zip."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria.contracts import Progress, Release, Rendered
from pizzeria.errors import DeploymentError
from pizzeria.shipment import read_lock, secret_names
from pizzeria_plugins.functions import release as functions
from pizzeria_plugins.functions.app import SETTINGS
from pizzeria_plugins.functions.packages import UNUSED, Place, filtered
from pizzeria_plugins.functions.packing import Built, Limits, build_zip
from pizzeria_plugins.targets.clouds.cron import cron
from pizzeria_plugins.targets.clouds.python import python_of
from pizzeria_plugins.targets.clouds.terraform import literal, literals, text_of

if TYPE_CHECKING:
    from pizzeria_plugins.targets.google_functions import Options

PACKAGE = "function.zip"
ENTRY = "pizzeria"
"""Name of the function in `main.py`."""
PLATFORM = "Google Cloud Functions"
_GLIBC = 35
_PLACES_OF_CPU = 3
_LOCK = "google-function"
_LIMITS = Limits(PLATFORM, 2_000_000_000, 500_000_000, "deploy to container or kubernetes, or export a smaller model")
"""Google names none for functions of the 2nd generation; beyond these, build and start take minutes."""
_FRAMEWORK = frozenset(
    {
        *("anyio", "blinker", "click", "cloudevents", "deprecation", "flask", "functions-framework", "gunicorn", "h11"),
        *("idna", "itsdangerous", "jinja2", "markupsafe", "packaging", "sniffio", "starlette", "typing-extensions"),
        *("uvicorn", "uvicorn-worker", "watchdog", "werkzeug"),
    }
)
"""What Google installs from `requirements.txt`: its framework and what that needs. All else is in the zip."""

_MAIN = '''\
"""Google's functions-framework loads this; Pizzeria wrote it."""

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER / "packages"))

import functions_framework.aio  # noqa: E402
from pizzeria_plugins.targets.google_app.front import handler  # noqa: E402

_answer = handler(FOLDER)


@functions_framework.aio.http
async def pizzeria(request):
    return await _answer(request)
'''
_IGNORE = ".gcloudignore\n.git\n*.tf.json\n*.tfstate*\n.terraform*\nfunction.zip\n"


def function_name(name: str, options: Options) -> str:
    """What the function is called.

    Raises:
        DeploymentError: the spec's name cannot be made one.
    """
    own = options.function_name or name.replace("_", "-").strip("-")
    if len(own) > 63:
        raise DeploymentError(
            f"{own!r} is too long for a function of Google", hint="write deployment.function_name=..., 63 at most"
        )
    return own


def files(release: Release, options: Options) -> dict[str, str]:
    """Those that go into the zip, besides the packages and the bundle."""
    return {
        "main.py": _MAIN,
        "requirements.txt": requirements(python_of(options.python)),
        SETTINGS: functions.service_settings(release, PLATFORM),
    }


def requirements(python: str) -> str:
    """What Google installs, pinned with hashes."""
    place = Place(python, "x86_64", _GLIBC)
    whole = filtered(read_lock(_LOCK), place, frozenset())
    others = {entry.split("==")[0] for entry in whole.splitlines() if not entry.startswith(" ")} - _FRAMEWORK
    return filtered(read_lock(_LOCK), place, frozenset(others))


def rendered(release: Release, options: Options) -> Rendered:
    """All files and commands."""
    check(release, options)
    name = function_name(release.name, options)
    return Rendered(
        files={
            **files(release, options),
            ".gcloudignore": _IGNORE,
            "main.tf.json": text_of(terraform(release, options)),
        },
        commands=_commands(release, options, name),
        environment=dict(options.environment),
    )


def check(release: Release, options: Options) -> None:
    """Refuse what cannot be a function.

    Raises:
        DeploymentError: names the key to change.
    """
    functions.check(release, PLATFORM)
    function_name(release.name, options)
    for what, interval, job in _jobs(release, options):
        if job is None:
            raise DeploymentError(
                f"deployment.schedule.{what} is {interval}, and a function cannot run `pizzeria {what}`: it is too "
                "large for one, and needs the run's folder",
                hint=f"make a Cloud Run job with the image of `pizzeria {what} {release.name}`, and write "
                f"deployment.{what}_job: its name",
            )
        if not (options.scheduler_account or options.service_account):
            raise DeploymentError(
                f"deployment.schedule.{what}: Cloud Scheduler needs an account that may start the job {job}",
                hint="write deployment.scheduler_account: name@project.iam.gserviceaccount.com",
            )


def write_package(release: Release, options: Options, path: Path, progress: Progress) -> Built:
    """Write the zip.

    Raises:
        DeploymentError: it is too large; says what is.
    """
    progress.say(f"packing {release.name} for Python {python_of(options.python)} on {PLATFORM}")
    return build_zip(
        release,
        front=files(release, options),
        lock=_LOCK,
        modules=["pizzeria_plugins.targets.google_app.front"],
        path=path,
        cache=release.state / ".functions",
        python=python_of(options.python),
        glibc=_GLIBC,
        without=UNUSED | _FRAMEWORK,
        limits=_LIMITS,
        below="packages/",
    )


def scheduled(release: Release, options: Options) -> dict[str, tuple[str, str]]:
    """Cloud Scheduler's jobs: {name: (time table, Cloud Run job that it starts)}."""
    name = function_name(release.name, options)
    return {
        f"{name}-{what}": (cron(interval), job) for what, interval, job in _jobs(release, options) if job is not None
    }


def scheduler_names(name: str, options: Options) -> list[str]:
    """All that may have been made for a deployment."""
    own = function_name(name, options)
    return [f"{own}-monitor", f"{own}-maintain"]


def address_of_job(job: str, options: Options) -> str:
    """Where a Cloud Run job is started."""
    return f"https://run.googleapis.com/v2/projects/{options.project}/locations/{options.region}/jobs/{job}:run"


def _jobs(release: Release, options: Options) -> list[tuple[str, Any, str | None]]:
    wanted = [
        ("monitor", release.schedule.monitor, options.monitor_job),
        ("maintain", release.schedule.maintain, options.maintain_job),
    ]
    return [one for one in wanted if one[1] is not None]


def secret_parts(release: Release, options: Options) -> dict[str, tuple[str, str]]:
    """{variable: (secret, version)}; a secret that the service needs, and the options do not name, is called as its
    variable is."""
    out = {}
    for name, secret in {**{name: name for name in secret_names(release)}, **options.secrets}.items():
        own, _, version = secret.partition(":")
        out[name] = (own, version or "latest")
    return out


def _commands(release: Release, options: Options, name: str) -> list[list[str]]:
    source = f"gs://{options.bucket}/pizzeria/{release.name}/{PACKAGE}"
    secrets = {key: f"{own}:{version}" for key, (own, version) in secret_parts(release, options).items()}
    deploy = [
        *("gcloud", "functions", "deploy", name, "--gen2", f"--project={options.project}"),
        *(f"--region={options.region}", f"--runtime={runtime(options)}", f"--entry-point={ENTRY}", "--trigger-http"),
        *(
            f"--source={source}",
            f"--memory={options.memory}",
            f"--cpu={options.cpu}",
            f"--timeout={options.timeout_s}s",
        ),
        *(f"--min-instances={options.min_instances}", f"--max-instances={options.max_instances}"),
        *(f"--concurrency={concurrency(release, options)}", f"--ingress-settings={options.ingress}"),
        "--allow-unauthenticated" if options.allow_unauthenticated else "--no-allow-unauthenticated",
        *([f"--service-account={options.service_account}"] if options.service_account else []),
        *_map("--update-env-vars", options.environment),
        *_map("--update-secrets", secrets),
    ]
    return [["gcloud", "storage", "cp", PACKAGE, source], deploy]


def _map(flag: str, values: Mapping[str, str]) -> list[str]:
    """gcloud's own way to write a map: with a separator that no value has."""
    if not values:
        return []
    parts = [f"{name}={value}" for name, value in values.items()]
    signs = chain("~|@#;!", (f"|{i}|" for i in count()))
    sign = next(sign for sign in signs if sign.join(parts).split(sign) == parts)
    return [f"{flag}=^{sign}^{sign.join(parts)}"]


def concurrency(release: Release, options: Options) -> int:
    """Requests that one instance is given at once: as many as the service lets in, and no more, so that Google starts
    another instance before this one has to refuse."""
    return options.concurrency or min(release.serving.max_concurrency or _PLACES_OF_CPU * options.cpu, 1000)


def runtime(options: Options) -> str:
    """Google's name of the version of Python."""
    return f"python{python_of(options.python).replace('.', '')}"


def terraform(release: Release, options: Options) -> dict[str, Any]:
    """The same for those who keep their cloud in Terraform; `terraform apply` instead of `pizzeria deploy`."""
    name = function_name(release.name, options)
    secrets = secret_parts(release, options)
    service: dict[str, Any] = {
        "available_memory": options.memory,
        "available_cpu": str(options.cpu),
        "timeout_seconds": options.timeout_s,
        "min_instance_count": options.min_instances,
        "max_instance_count": options.max_instances,
        "max_instance_request_concurrency": concurrency(release, options),
        "ingress_settings": f"ALLOW_{_INGRESS[options.ingress]}",
        "all_traffic_on_latest_revision": True,
        "environment_variables": literals(options.environment),
        "service_account_email": options.service_account or "${google_service_account.function.email}",
    }
    if secrets:
        service["secret_environment_variables"] = [
            {"key": key, "project_id": options.project, "secret": secret, "version": version}
            for key, (secret, version) in secrets.items()
        ]
    resources: dict[str, Any] = {
        "google_storage_bucket": {
            "packages": {"name": options.bucket, "location": options.region, "uniform_bucket_level_access": True}
        },
        "google_storage_bucket_object": {
            "package": {
                "name": f'pizzeria/{release.name}/${{filesha256("${{path.module}}/{PACKAGE}")}}.zip',
                "bucket": "${google_storage_bucket.packages.name}",
                "source": f"${{path.module}}/{PACKAGE}",
            }
        },
        "google_cloudfunctions2_function": {
            "function": {
                "name": name,
                "location": options.region,
                "description": literal(f"Pizzeria: {release.name}, bundle {release.sha256}"),
                "build_config": {
                    "runtime": runtime(options),
                    "entry_point": ENTRY,
                    "source": {
                        "storage_source": {
                            "bucket": "${google_storage_bucket.packages.name}",
                            "object": "${google_storage_bucket_object.package.name}",
                        }
                    },
                },
                "service_config": service,
            }
        },
    }
    if options.service_account is None:
        resources["google_service_account"] = {
            "function": {"account_id": f"{name[:23].rstrip('-')}-serve", "display_name": f"Pizzeria: {release.name}"}
        }
    if secrets:
        resources["google_secret_manager_secret_iam_member"] = {
            f"secret_{i}": {
                "secret_id": secret,
                "role": "roles/secretmanager.secretAccessor",
                "member": f"serviceAccount:{service['service_account_email']}",
            }
            for i, secret in enumerate(sorted({secret for secret, _ in secrets.values()}))
        }
    if options.allow_unauthenticated:
        resources["google_cloud_run_service_iam_member"] = {
            "everybody": {
                "location": options.region,
                "service": "${google_cloudfunctions2_function.function.service_config[0].service}",
                "role": "roles/run.invoker",
                "member": "allUsers",
            }
        }
    jobs = scheduled(release, options)
    if jobs:
        resources["google_cloud_scheduler_job"] = {
            key.rpartition("-")[2]: {
                "name": key,
                "region": options.region,
                "schedule": table,
                "time_zone": "Etc/UTC",
                "http_target": {
                    "http_method": "POST",
                    "uri": address_of_job(job, options),
                    "oauth_token": {"service_account_email": options.scheduler_account or options.service_account},
                },
            }
            for key, (table, job) in jobs.items()
        }
    return {
        "terraform": {"required_providers": {"google": {"source": "hashicorp/google", "version": ">= 5.0"}}},
        "provider": {"google": {"project": options.project, "region": options.region}},
        "resource": resources,
        "output": {"url": {"value": "${google_cloudfunctions2_function.function.service_config[0].uri}"}},
    }


_INGRESS = {"all": "ALL", "internal": "INTERNAL_ONLY", "internal-and-gclb": "INTERNAL_AND_GCLB"}
