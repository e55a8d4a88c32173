"""The same pods as an InferenceService of KServe, which brings Deployment, Service and autoscaler itself."""

from __future__ import annotations

from pizzeria.contracts import Release
from pizzeria_plugins.targets.kubernetes_objects.identity import SHA256, Identity
from pizzeria_plugins.targets.kubernetes_objects.options import Options
from pizzeria_plugins.targets.kubernetes_objects.workload import Object, pod_template

CONTAINER = "kserve-container"
"""The name by which KServe knows the container that answers."""


def inference_service(release: Release, options: Options, who: Identity, config: Object) -> Object:
    """The InferenceService, in KServe's mode without Knative: it has one pod at least, and probes stay."""
    template = pod_template(release, options, who, config)
    pod = dict(template["spec"])
    pod["containers"] = [{**pod["containers"][0], "name": CONTAINER}]
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": who.name,
            "labels": who.labels("service", release.sha256),
            "annotations": {"serving.kserve.io/deploymentMode": "RawDeployment", SHA256: release.sha256},
        },
        "spec": {
            "predictor": {
                "labels": template["metadata"]["labels"],
                "annotations": template["metadata"]["annotations"],
                "minReplicas": options.min_replicas,
                "maxReplicas": options.max_replicas,
                "scaleMetric": "cpu",
                "scaleTarget": options.cpu_utilization,
                "timeout": int(release.serving.timeout_s) + 1,
                **pod,
            }
        },
    }
