"""The cluster by the official Python client: its kubeconfig, its credentials and its connections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pizzeria.errors import DeploymentError
from pizzeria_plugins.targets.kubernetes_cluster.api import Answer, Cluster, Unreachable
from pizzeria_plugins.targets.kubernetes_objects.options import Options


class ClientCluster(Cluster):
    """Requests over the client's own pool of connections."""

    def __init__(self, options: Options) -> None:
        super().__init__(options.namespace)
        self._client = _client(options)

    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, timeout_s: float = 15
    ) -> Answer:
        import urllib3

        configuration = self._client.configuration
        own = {each["key"]: each["value"] for each in configuration.auth_settings().values() if each["in"] == "header"}
        try:
            answer = self._client.rest_client.pool_manager.request(
                method,
                f"{configuration.host}{path}",
                body=body or None,
                headers={**(headers or {}), **own},
                timeout=urllib3.Timeout(connect=5, read=timeout_s),
                retries=False,
                redirect=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unreachable(
                f"the Kubernetes API at {configuration.host} cannot be reached: {error}",
                hint="kubectl cluster-info; deployment.context and deployment.kubeconfig name another cluster",
            ) from error
        return Answer(answer.status, answer.data)

    def close(self) -> None:
        self._client.close()


def _client(options: Options) -> Any:
    try:
        import kubernetes.config as official
        from kubernetes.client import ApiClient, Configuration
    except ImportError as error:
        raise DeploymentError(
            "neither kubectl nor the Python client of Kubernetes is installed",
            hint="install kubectl, or pip install 'pizzeria[kubernetes]'",
        ) from error
    config: Any = official
    try:
        if options.kubeconfig is None and options.context is None and _in_a_pod():
            configuration = Configuration()
            config.load_incluster_config(client_configuration=configuration)
            return ApiClient(configuration)
        return config.new_client_from_config(config_file=options.kubeconfig, context=options.context)
    except (config.ConfigException, OSError, ValueError, KeyError, TypeError) as error:
        raise DeploymentError(
            f"the kubeconfig cannot be used: {error}",
            hint="kubectl config get-contexts lists what is there; deployment.kubeconfig=... names another file",
        ) from error


def _in_a_pod() -> bool:
    import os
    from pathlib import Path

    default = Path("~/.kube/config").expanduser()
    return "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ and not default.exists()
