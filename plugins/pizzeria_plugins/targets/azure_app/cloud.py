"""Azure's API, through Azure's own libraries; whatever it refuses is a DeploymentError that says what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria.errors import DeploymentError, PluginError
from pizzeria_plugins.targets.azure_app.project import storage_url

if TYPE_CHECKING:
    from azure.mgmt.web import WebSiteManagementClient
    from azure.storage.blob import ContainerClient

    from pizzeria_plugins.targets.azure_functions import Options

STORAGE_KEY = "AZURE_STORAGE_KEY"
"""Environment variable with a key of the storage account, as `az` knows it; without it, who is logged in uploads."""
_LOG_IN = "log in with `az login`, or set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET"


class Cloud:
    """One function app and its storage.

    Raises:
        PluginError: Azure's libraries are not installed.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._where = (options.resource_group, options.function_app)
        try:
            import azure.identity
            import azure.mgmt.web
            import azure.storage.blob  # noqa: F401
        except ImportError as error:
            raise PluginError(
                f"the target azure_functions needs a library: {error}", hint="pip install 'pizzeria[azure]'"
            ) from None

    @cached_property
    def _credential(self) -> Any:
        from azure.identity import DefaultAzureCredential

        return DefaultAzureCredential()

    # Blob Storage.

    @cached_property
    def _container(self) -> ContainerClient:
        from azure.storage.blob import BlobServiceClient

        key = os.environ.get(STORAGE_KEY)
        credential = {"account_name": self._options.storage_account, "account_key": key} if key else self._credential
        return BlobServiceClient(storage_url(self._options), credential=credential).get_container_client(
            self._options.container
        )

    def upload(self, path: Path, name: str) -> str:
        """Put a package into the container, which is made where it is not there; returns its address.

        Nothing happens where one of that name is there.
        """
        from azure.core.exceptions import ResourceExistsError
        from azure.storage.blob import ContentSettings

        with _explained(f"upload {name} to {self._options.container}", self._options):
            blob = self._container.get_blob_client(name)
            if not self._container.exists():
                with suppress(ResourceExistsError):
                    self._container.create_container()
            if not blob.exists():
                with open(path, "rb") as stream:
                    kind = ContentSettings(content_type="application/zip")
                    blob.upload_blob(stream, overwrite=True, content_settings=kind)
            return f"{storage_url(self._options)}/{self._options.container}/{name}"

    def delete_packages(self, prefix: str) -> None:
        """Delete all packages below a prefix."""
        from azure.core.exceptions import ResourceNotFoundError

        with _explained(f"delete the packages {prefix}*", self._options):
            try:
                for name in list(self._container.list_blob_names(name_starts_with=prefix)):
                    self._container.delete_blob(name)
            except ResourceNotFoundError:
                return

    # The function app.

    @cached_property
    def _web(self) -> WebSiteManagementClient:
        from azure.mgmt.web import WebSiteManagementClient

        url = self._options.management_url
        return WebSiteManagementClient(
            self._credential, self._options.subscription, base_url=url, credential_scopes=[f"{url}/.default"]
        )

    def find(self) -> str | None:
        """Address of the function app; None where there is none."""
        from azure.core.exceptions import ResourceNotFoundError

        with _explained("read the function app", self._options):
            try:
                app = self._web.web_apps.get(*self._where)
            except ResourceNotFoundError:
                return None
            return f"https://{app.default_host_name}"

    def settings(self) -> dict[str, str]:
        """Its application settings, whose values may be secrets."""
        with _explained("read the settings of the function app", self._options):
            return dict(self._web.web_apps.list_application_settings(*self._where).properties or {})

    def set(self, settings: Mapping[str, str]) -> None:
        """Replace its settings, which starts it anew, and let Azure look at its functions again."""
        from azure.mgmt.web.models import StringDictionary

        with _explained("change the settings of the function app", self._options):
            self._web.web_apps.update_application_settings(*self._where, StringDictionary(properties=dict(settings)))
            self._web.web_apps.restart(*self._where)
            self._sync()

    def _sync(self) -> None:
        """Azure looks into a package elsewhere only when told; until the app has started, it may not be able to."""
        from azure.core.exceptions import HttpResponseError

        try:
            self._web.web_apps.sync_function_triggers(*self._where)
        except HttpResponseError as error:
            if error.status_code not in (400, 409, 500, 502, 503):
                raise

    def sync(self) -> None:
        """Let Azure look at its functions again, once the app has started: timers begin to run."""
        with _explained("list the functions of the app", self._options):
            self._web.web_apps.sync_function_triggers(*self._where)

    def key(self) -> dict[str, str]:
        """The header that opens a function with a key of Azure."""
        if self._options.http_auth_level == "anonymous":
            return {}
        with _explained("read the keys of the function app", self._options):
            keys = self._web.web_apps.list_host_keys(*self._where)
        found = (keys.function_keys or {}).get("default") or keys.master_key
        return {"x-functions-key": found} if found else {}


@contextmanager
def _explained(what: str, options: Options) -> Iterator[None]:
    """Make of what Azure's libraries raise an error that says what was tried and what to do."""
    from azure.core import exceptions as azure

    where = f"{options.function_app} in {options.resource_group}"
    try:
        yield
    except azure.ClientAuthenticationError as error:
        raise DeploymentError(f"Azure does not know who wants to {what}: {_line(error)}", hint=_LOG_IN) from None
    except azure.ResourceNotFoundError as error:
        raise DeploymentError(
            f"Azure cannot {what}: {_line(error)}",
            hint=f"is there {where}, and the storage account {options.storage_account}? Terraform makes both: "
            "pizzeria deploy --out",
        ) from None
    except azure.HttpResponseError as error:
        raise _refused(what, error, options) from None
    except azure.AzureError as error:
        raise DeploymentError(
            f"Azure cannot be reached to {what}: {_line(error)}", hint="check the network, and deploy again"
        ) from None
    except ValueError as error:  # of a key of the storage account that is none
        raise DeploymentError(f"Azure's library refuses to {what}: {error}", hint=f"look at {STORAGE_KEY}") from None


def _refused(what: str, error: Any, options: Options) -> DeploymentError:
    hints = {
        403: f"give it Website Contributor on {options.function_app} and Storage Blob Data Contributor on "
        f"{options.storage_account}",
        409: "another change of it is under way; deploy again after it",
        429: "deploy again in some minutes",
    }
    verbs = {403: "forbids this account to", 409: "cannot now"}
    return DeploymentError(
        f"Azure {verbs.get(error.status_code, 'could not')} {what}: {_line(error)}",
        hint=hints.get(error.status_code, "Azure's portal shows the app's log"),
    )


def _line(error: BaseException) -> str:
    """What it says, on one line."""
    text = " ".join(str(getattr(error, "message", "") or error).split())
    return text[:600] or type(error).__name__
