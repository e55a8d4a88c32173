"""Which of the two ways to a cluster is taken."""

from __future__ import annotations

import shutil

from pizzeria.errors import DeploymentError
from pizzeria_plugins.targets.kubernetes_cluster.api import Cluster
from pizzeria_plugins.targets.kubernetes_objects.options import Options


def open_cluster(options: Options) -> Cluster:
    """The cluster that the options name; close it in the end.

    Raises:
        DeploymentError: there is neither kubectl nor the Python client, or the kubeconfig cannot be used.
    """
    found = shutil.which("kubectl")
    if options.apply_with == "kubectl" and found is None:
        raise DeploymentError(
            "deployment.apply_with is kubectl, and there is no kubectl on the PATH",
            hint="install it, or deployment.apply_with=client",
        )
    if options.apply_with != "client" and found is not None:
        from pizzeria_plugins.targets.kubernetes_cluster.kubectl import KubectlCluster

        return KubectlCluster(options)
    from pizzeria_plugins.targets.kubernetes_cluster.python_client import ClientCluster

    return ClientCluster(options)
