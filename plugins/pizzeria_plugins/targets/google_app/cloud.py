"""Google's API, through Google's own libraries; whatever it refuses is a DeploymentError that says what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pizzeria.errors import DeploymentError, PluginError

if TYPE_CHECKING:
    from google.cloud import functions_v2, storage

    from pizzeria_plugins.targets.google_functions import Options

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_RUN = "https://run.googleapis.com"
_SCHEDULER = "https://cloudscheduler.googleapis.com"
_TIMEOUT_S = 60
_INVOKER = "roles/run.invoker"
_LOG_IN = "log in with `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS"


class Cloud:
    """One project and region.

    Raises:
        DeploymentError: nobody is logged in.
        PluginError: Google's libraries are not installed.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._parent = f"projects/{options.project}/locations/{options.region}"
        try:
            import google.auth
            import google.cloud.functions_v2
            import google.cloud.storage
        except ImportError as error:
            raise PluginError(
                f"the target google_functions needs a library: {error}", hint="pip install 'pizzeria[google]'"
            ) from None
        with _explained("log in", options):
            if options.api_endpoint is not None and options.api_endpoint.startswith("http:"):
                from google.auth.credentials import AnonymousCredentials

                self._credentials: Any = AnonymousCredentials()
            else:
                self._credentials, _ = google.auth.default(scopes=_SCOPES)

    # Cloud Storage.

    @cached_property
    def _storage(self) -> storage.Client:
        from google.cloud import storage

        where = {"api_endpoint": self._options.api_endpoint} if self._options.api_endpoint else None
        return storage.Client(project=self._options.project, credentials=self._credentials, client_options=where)

    def upload(self, path: Path, name: str) -> None:
        """Put a package into the bucket; nothing happens where one of that name is there."""
        from google.api_core.exceptions import PreconditionFailed

        with _explained(f"upload to gs://{self._options.bucket}/{name}", self._options):
            blob = self._storage.bucket(self._options.bucket).blob(name)
            try:
                blob.upload_from_filename(
                    str(path), content_type="application/zip", if_generation_match=0, checksum="crc32c", timeout=600
                )
            except PreconditionFailed:
                return

    def delete_packages(self, prefix: str) -> None:
        """Delete all packages below a prefix."""
        from google.api_core.exceptions import NotFound

        with _explained(f"empty gs://{self._options.bucket}/{prefix}", self._options):
            try:
                for blob in self._storage.list_blobs(self._options.bucket, prefix=prefix):
                    blob.delete()
            except NotFound:
                return

    # The function.

    @cached_property
    def _functions(self) -> functions_v2.FunctionServiceClient:
        from google.cloud import functions_v2
        from google.cloud.functions_v2.services.function_service.transports import FunctionServiceRestTransport

        where = {"host": self._options.api_endpoint} if self._options.api_endpoint else {}
        return functions_v2.FunctionServiceClient(
            transport=FunctionServiceRestTransport(credentials=self._credentials, **where)
        )

    def path(self, function: str) -> str:
        """Its full name."""
        return f"{self._parent}/functions/{function}"

    def find(self, function: str) -> functions_v2.Function | None:
        """The function as Google has it; None where there is none."""
        from google.api_core.exceptions import NotFound

        with _explained(f"read the function {function}", self._options):
            try:
                return self._functions.get_function(name=self.path(function), timeout=_TIMEOUT_S)
            except NotFound:
                return None

    def put(self, function: functions_v2.Function, exists: bool) -> functions_v2.Function:
        """Create or change it, and wait until it is built and started.

        Raises:
            DeploymentError: Google could not; the revision before goes on serving.
        """
        from google.protobuf.field_mask_pb2 import FieldMask

        name = function.name.rpartition("/")[2]
        with _explained(f"{'change' if exists else 'create'} the function {name}", self._options):
            if exists:
                changed = FieldMask(paths=["build_config", "service_config", "description"])
                operation = self._functions.update_function(
                    request={"function": function, "update_mask": changed}, timeout=_TIMEOUT_S
                )
            else:
                operation = self._functions.create_function(
                    request={"parent": self._parent, "function": function, "function_id": name}, timeout=_TIMEOUT_S
                )
            found: functions_v2.Function = operation.result(timeout=self._options.ready_timeout_s)
            return found

    def delete(self, function: str) -> None:
        """Delete it; nothing happens where there is none."""
        from google.api_core.exceptions import NotFound

        with _explained(f"delete the function {function}", self._options):
            try:
                operation = self._functions.delete_function(name=self.path(function), timeout=_TIMEOUT_S)
                operation.result(timeout=self._options.ready_timeout_s)
            except NotFound:
                return

    # What Google's libraries for functions lack: who may call it, and what starts jobs.

    @cached_property
    def _session(self) -> Any:
        import requests
        from google.auth.credentials import AnonymousCredentials
        from google.auth.transport.requests import AuthorizedSession

        if isinstance(self._credentials, AnonymousCredentials):
            return requests.Session()
        return AuthorizedSession(self._credentials)

    def let_everybody_in(self, service: str, allowed: bool) -> None:
        """Let callers without an account of Google in, or keep them out.

        Args:
            service: Full name of the function's Cloud Run service.
        """
        base = f"{self._options.api_endpoint or _RUN}/v2/{service}"
        with _explained("say who may call the function", self._options):
            policy = self._json("GET", f"{base}:getIamPolicy")
            bindings = [
                {**one, "members": [member for member in one.get("members", []) if member != "allUsers"]}
                if one.get("role") == _INVOKER
                else one
                for one in policy.get("bindings", [])
            ]
            bindings = [one for one in bindings if one["members"]]
            if allowed:
                bindings.append({"role": _INVOKER, "members": ["allUsers"]})
            if bindings != policy.get("bindings", []):
                self._json("POST", f"{base}:setIamPolicy", {"policy": {**policy, "bindings": bindings}})

    def put_job(self, name: str, table: str, url: str, account: str) -> None:
        """Have Cloud Scheduler call an address, as an account."""
        base = f"{self._options.api_endpoint or _SCHEDULER}/v1/{self._parent}/jobs"
        job = {
            "name": f"{self._parent}/jobs/{name}",
            "schedule": table,
            "timeZone": "Etc/UTC",
            "httpTarget": {"uri": url, "httpMethod": "POST", "oauthToken": {"serviceAccountEmail": account}},
        }
        with _explained(f"schedule {name}", self._options):
            if self._json("PATCH", f"{base}/{name}", job, absent_is=404) is None:
                self._json("POST", base, job)

    def delete_job(self, name: str) -> None:
        """Have it call no more."""
        base = f"{self._options.api_endpoint or _SCHEDULER}/v1/{self._parent}/jobs"
        with _explained(f"unschedule {name}", self._options):
            self._json("DELETE", f"{base}/{name}", absent_is=404)

    def _json(self, method: str, url: str, body: Mapping[str, Any] | None = None, absent_is: int = 0) -> Any:
        from google.api_core.exceptions import from_http_response

        answer = self._session.request(method, url, json=body, timeout=_TIMEOUT_S)
        if answer.status_code == absent_is:
            return None
        if answer.status_code >= 400:
            raise from_http_response(answer)
        return answer.json() if answer.content else {}

    def token(self, address: str) -> dict[str, str]:
        """The header that opens a function that not everybody may call."""
        if self._options.allow_unauthenticated or address.startswith("http:"):
            return {}
        from google.auth.transport.requests import Request
        from google.oauth2.id_token import fetch_id_token

        with _explained("get an identity token to call the function", self._options):
            return {"Authorization": f"Bearer {fetch_id_token(Request(), address)}"}


@contextmanager
def _explained(what: str, options: Options) -> Iterator[None]:
    """Make of what Google's libraries raise an error that says what was tried and what to do."""
    from concurrent.futures import TimeoutError as Late

    import requests
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth

    try:
        yield
    except auth.DefaultCredentialsError as error:
        raise DeploymentError(
            f"Google asks who this is, and no credentials were found: {_line(error)}", hint=_LOG_IN
        ) from None
    except (auth.GoogleAuthError, api.Unauthenticated) as error:
        raise DeploymentError(f"Google does not take the credentials to {what}: {_line(error)}", hint=_LOG_IN) from None
    except api.Forbidden as error:
        raise DeploymentError(
            f"Google forbids this account to {what}: {_line(error)}",
            hint=f"give it the roles cloudfunctions.developer, storage.objectAdmin and iam.serviceAccountUser in "
            f"{options.project}, and enable the API that the message names",
        ) from None
    except api.NotFound as error:
        raise DeploymentError(
            f"Google cannot {what}: {_line(error)}",
            hint=f"check deployment.project ({options.project}), region ({options.region}) and bucket "
            f"({options.bucket}); Terraform makes the bucket: pizzeria deploy --out",
        ) from None
    except api.Conflict as error:
        raise DeploymentError(
            f"Google cannot {what} now: {_line(error)}", hint="another change of it is under way; deploy again after it"
        ) from None
    except (Late, api.RetryError) as error:
        raise DeploymentError(
            f"Google did not {what} in {options.ready_timeout_s:g} s: {_line(error)}",
            hint="deploy again to go on waiting, or give it longer with deployment.ready_timeout_s=...",
        ) from None
    except api.GoogleAPIError as error:
        raise DeploymentError(
            f"Google could not {what}: {_line(error)}", hint="the build's log in Google's console says more"
        ) from None
    except (requests.RequestException, OSError) as error:
        raise DeploymentError(
            f"Google cannot be reached to {what}: {_line(error)}", hint="check the network, and deploy again"
        ) from None


def _line(error: BaseException) -> str:
    """What it says, on one line, without what an address may hold besides."""
    text = " ".join(str(getattr(error, "message", "") or error).split())
    return text[:600] or type(error).__name__
