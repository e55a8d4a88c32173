"""The files of a function app on Azure: pure text, and the zip."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pizzeria.contracts import Progress, Release, Rendered
from pizzeria.errors import DeploymentError
from pizzeria.shipment import secret_names
from pizzeria_plugins.functions import release as functions
from pizzeria_plugins.functions.app import SETTINGS
from pizzeria_plugins.functions.packing import Built, Limits, build_zip
from pizzeria_plugins.targets.clouds.cron import ncrontab
from pizzeria_plugins.targets.clouds.python import python_of
from pizzeria_plugins.targets.clouds.terraform import literal, literals, text_of

if TYPE_CHECKING:
    from pathlib import Path

    from pizzeria_plugins.targets.azure_functions import Options

PACKAGE = "function.zip"
PLATFORM = "Azure Functions"
RUN_FROM = "WEBSITE_RUN_FROM_PACKAGE"
OWN = "PIZZERIA_SETTINGS"
"""The setting that names those which Pizzeria made, so that it takes only these away again."""
_GLIBC = 31
_MANAGEMENT = "https://management.azure.com"
_LIMITS = Limits(PLATFORM, 1_500_000_000, 1_000_000_000, "deploy to container or kubernetes, or export a smaller model")
"""Azure mounts a package of 1 GB at most."""
_IGNORE = ".git*\n*.tf.json\n*.tfstate*\n.terraform*\nfunction.zip\nlocal.settings.json\n"


def files(release: Release, options: Options) -> dict[str, str]:
    """Those that go into the zip, besides the packages and the bundle."""
    return {
        "function_app.py": _entry(release, options),
        "host.json": _host(options),
        SETTINGS: functions.service_settings(release, PLATFORM),
    }


def rendered(release: Release, options: Options) -> Rendered:
    """All files and commands."""
    check(release, options)
    return Rendered(
        files={
            **files(release, options),
            ".funcignore": _IGNORE,
            "local.settings.json": _local(options),
            "main.tf.json": text_of(terraform(release, options)),
        },
        commands=_commands(release, options),
        environment=dict(options.environment),
    )


def check(release: Release, options: Options) -> None:
    """Refuse what cannot be a function.

    Raises:
        DeploymentError: names the key to change.
    """
    functions.check(release, PLATFORM)
    for what, interval, job in _jobs(release, options):
        if job is None:
            raise DeploymentError(
                f"deployment.schedule.{what} is {interval}, and a function cannot run `pizzeria {what}`: it is too "
                "large for one, and needs the run's folder",
                hint=f"make a Container Apps job with the image of `pizzeria {what} {release.name}`, and write "
                f"deployment.{what}_job: its name",
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
        lock="azure-function",
        modules=["pizzeria_plugins.targets.azure_app.front"],
        path=path,
        cache=release.state / ".functions",
        python=python_of(options.python),
        glibc=_GLIBC,
        limits=_LIMITS,
        below=".python_packages/lib/site-packages/",
    )


def wanted_settings(release: Release, options: Options, package: str) -> dict[str, str]:
    """Application settings of the app, without the values of secrets.

    Args:
        package: Address of the zip; the app's own identity opens it.
    """
    made = {
        **options.environment,
        **{name: _reference(secret) for name, secret in options.secrets.items()},
        RUN_FROM: package,
        "WEBSITE_RUN_FROM_PACKAGE_BLOB_MI_RESOURCE_ID": "SystemAssigned",
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "FUNCTIONS_EXTENSION_VERSION": "~4",
        "PYTHON_ISOLATE_WORKER_DEPENDENCIES": "1",
    }
    if options.management_url != _MANAGEMENT:
        made["PIZZERIA_MANAGEMENT_URL"] = options.management_url
    return made | {OWN: " ".join(sorted([*made, *plain_secrets(release, options)]))}


def plain_secrets(release: Release, options: Options) -> list[str]:
    """Secrets whose values become settings, as no Key Vault has them."""
    return [name for name in secret_names(release) if name not in options.secrets]


def _reference(secret: str) -> str:
    vault, _, name = secret.partition("/")
    return f"@Microsoft.KeyVault(VaultName={vault};SecretName={name})"


def _jobs(release: Release, options: Options) -> list[tuple[str, Any, str | None]]:
    wanted = [
        ("monitor", release.schedule.monitor, options.monitor_job),
        ("maintain", release.schedule.maintain, options.maintain_job),
    ]
    return [one for one in wanted if one[1] is not None]


def _job_id(job: str, options: Options) -> str:
    return (
        f"/subscriptions/{options.subscription}/resourceGroups/{options.resource_group}"
        f"/providers/Microsoft.App/jobs/{job}"
    )


def _entry(release: Release, options: Options) -> str:
    """`function_app.py`. What goes into it is checked above to have no sign that a string of Python or JSON minds."""
    timers = [
        (what, ncrontab(interval), _job_id(job, options))
        for what, interval, job in _jobs(release, options)
        if job is not None
    ]
    lines = "".join(f"    ({', '.join(map(json.dumps, timer))}),\n" for timer in timers)
    shown = f"[\n{lines}]" if timers else "[]"
    return f'''\
"""The worker of Azure Functions loads this; Pizzeria wrote it."""

from pathlib import Path

from pizzeria_plugins.targets.azure_app.front import function_app

TIMERS = {shown}

app = function_app(Path(__file__).resolve().parent, {json.dumps(options.http_auth_level)}, TIMERS)
'''


def _host(options: Options) -> str:
    """`host.json`: the routes are the service's own, and Azure's host adds nothing before them."""
    minutes, seconds = divmod(options.timeout_s, 60)
    return text_of(
        {
            "version": "2.0",
            "functionTimeout": f"00:{minutes:02}:{seconds:02}",
            "extensionBundle": {"id": "Microsoft.Azure.Functions.ExtensionBundle", "version": "[4.*, 5.0.0)"},
            "extensions": {"http": {"routePrefix": ""}},
            "logging": {
                "logLevel": {"default": "Information", "Host.Results": "Warning"},
                "applicationInsights": {"samplingSettings": {"isEnabled": True, "excludedTypes": "Request;Trace"}},
            },
        }
    )


def _local(options: Options) -> str:
    """For `func start` on one's own machine; it goes into no zip."""
    values = {
        **options.environment,
        **dict.fromkeys(options.secrets, ""),
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        "FUNCTIONS_WORKER_RUNTIME": "python",
    }
    return text_of({"IsEncrypted": False, "Values": values})


def _commands(release: Release, options: Options) -> list[list[str]]:
    blob = f"{release.name}/{PACKAGE}"
    where = ["--subscription", options.subscription, "--resource-group", options.resource_group]
    package = f"{storage_url(options)}/{options.container}/{blob}"
    settings = [f"{name}={value}" for name, value in wanted_settings(release, options, package).items()]
    return [
        [
            *("az", "storage", "blob", "upload", "--auth-mode", "login", "--account-name", options.storage_account),
            *("--container-name", options.container, "--name", blob, "--file", PACKAGE),
        ],
        [
            *("az", "functionapp", "config", "appsettings", "set", *where, "--name", options.function_app),
            *("--settings", *settings),
        ],
        ["az", "functionapp", "restart", *where, "--name", options.function_app],
    ]


def storage_url(options: Options) -> str:
    """Address of the blob service."""
    return options.storage_url or f"https://{options.storage_account}.blob.core.windows.net"


def terraform(release: Release, options: Options) -> dict[str, Any]:
    """What has to be there: group's plan, storage, function app with its identity and what that may do.

    `pizzeria deploy` then changes its settings alone, which Terraform is told to leave as they are.
    """
    app = "azurerm_linux_function_app.app"
    package = f"{storage_url(options)}/{options.container}/{release.name}/{PACKAGE}"
    settings = {
        name: value
        for name, value in wanted_settings(release, options, package).items()
        if name not in (RUN_FROM, "FUNCTIONS_EXTENSION_VERSION", "FUNCTIONS_WORKER_RUNTIME", OWN)
    }
    site: dict[str, Any] = {"application_stack": {"python_version": python_of(options.python)}}
    if options.max_instances is not None and options.plan.startswith(("Y", "EP")):
        site["app_scale_limit"] = options.max_instances
    resources: dict[str, Any] = {
        "azurerm_resource_group": {"group": {"name": options.resource_group, "location": options.region}},
        "azurerm_storage_account": {
            "packages": {
                "name": options.storage_account,
                "resource_group_name": "${azurerm_resource_group.group.name}",
                "location": options.region,
                "account_tier": "Standard",
                "account_replication_type": "LRS",
                "allow_nested_items_to_be_public": False,
                "min_tls_version": "TLS1_2",
            }
        },
        "azurerm_storage_container": {
            "packages": {
                "name": options.container,
                "storage_account_id": "${azurerm_storage_account.packages.id}",
                "container_access_type": "private",
            }
        },
        "azurerm_service_plan": {
            "plan": {
                "name": f"{options.function_app[:35]}-plan",
                "resource_group_name": "${azurerm_resource_group.group.name}",
                "location": options.region,
                "os_type": "Linux",
                "sku_name": options.plan,
            }
        },
        "azurerm_linux_function_app": {
            "app": {
                "name": options.function_app,
                "resource_group_name": "${azurerm_resource_group.group.name}",
                "location": options.region,
                "service_plan_id": "${azurerm_service_plan.plan.id}",
                "storage_account_name": "${azurerm_storage_account.packages.name}",
                "storage_uses_managed_identity": True,
                "functions_extension_version": "~4",
                "https_only": True,
                "identity": {"type": "SystemAssigned"},
                "site_config": site,
                "app_settings": literals(settings),
                "tags": {"pizzeria": literal(release.name)},
                "lifecycle": {"ignore_changes": ["app_settings"]},
            }
        },
        "azurerm_role_assignment": {
            "packages": {
                "scope": "${azurerm_storage_account.packages.id}",
                "role_definition_name": "Storage Blob Data Owner",
                "principal_id": f"${{{app}.identity[0].principal_id}}",
            },
            **{
                what: {
                    "scope": _job_id(job, options),
                    "role_definition_name": "Container Apps Jobs Operator",
                    "principal_id": f"${{{app}.identity[0].principal_id}}",
                }
                for what, _, job in _jobs(release, options)
                if job is not None
            },
        },
    }
    vaults = sorted({secret.partition("/")[0] for secret in options.secrets.values()})
    out: dict[str, Any] = {
        "terraform": {"required_providers": {"azurerm": {"source": "hashicorp/azurerm", "version": ">= 4.0"}}},
        "provider": {"azurerm": {"features": {}, "subscription_id": options.subscription, "storage_use_azuread": True}},
        "resource": resources,
        "output": {"url": {"value": f"https://${{{app}.default_hostname}}"}},
    }
    if vaults:
        out["data"] = {
            "azurerm_key_vault": {
                f"vault_{i}": {"name": vault, "resource_group_name": options.resource_group}
                for i, vault in enumerate(vaults)
            }
        }
        for i in range(len(vaults)):
            resources["azurerm_role_assignment"][f"vault_{i}"] = {
                "scope": f"${{data.azurerm_key_vault.vault_{i}.id}}",
                "role_definition_name": "Key Vault Secrets User",
                "principal_id": f"${{{app}.identity[0].principal_id}}",
            }
    return out
