"""Options of the target `kubernetes`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from pizzeria.spec.section import Options as PluginOptions
from pizzeria.spec.section import Section
from pizzeria_plugins.targets.kubernetes_objects.grammar import (
    Bytes,
    Cpu,
    DnsLabel,
    HostName,
    Image,
    ObjectName,
    ServiceName,
    Variable,
    VariableValue,
)


class Gateway(Section):
    """The Gateway (of the Gateway API) that brings requests from outside, and whose weights make a canary."""

    name: ObjectName = Field(description="Name of the Gateway object.")
    namespace: DnsLabel | None = Field(default=None, description="Where it is; null: in the namespace of the service.")
    hostnames: tuple[HostName, ...] = Field(
        default=(), max_length=16, description="Host names that lead to the service; none: all of the Gateway's."
    )
    scheme: Literal["https", "http"] = Field(default="https", description="What clients speak to the Gateway.")


class Options(PluginOptions):
    """Options of the `kubernetes` target."""

    image: Image = Field(
        description="Image of the service with this very bundle, already pushed: name@sha256:... (best) or name:tag."
    )
    namespace: DnsLabel = Field(default="default", description="Namespace, which must exist.")
    service_name: ServiceName | None = Field(
        default=None, description="Name of the objects in the cluster; null: the spec's name, with - for _."
    )
    context: str | None = Field(default=None, min_length=1, description="Context of the kubeconfig; null: its own.")
    kubeconfig: str | None = Field(
        default=None, min_length=1, description="Kubeconfig file; null: KUBECONFIG, ~/.kube/config, or the pod's own."
    )
    apply_with: Literal["auto", "kubectl", "client"] = Field(
        default="auto",
        description="What speaks to the cluster: kubectl, or the Python client (pizzeria[kubernetes]); "
        "auto: kubectl where it is installed.",
    )
    form: Literal["deployment", "kserve"] = Field(
        default="deployment", description="A Deployment with what belongs to it, or an InferenceService of KServe."
    )
    min_replicas: int = Field(default=2, ge=1, le=1000, description="Pods at least.")
    max_replicas: int = Field(
        default=4, ge=1, le=1000, description="Pods at most; more than at least: a HorizontalPodAutoscaler decides."
    )
    cpu_utilization: int = Field(
        default=70, ge=1, le=100, description="Per cent of its CPU above which there is one more pod."
    )
    cpu: Cpu = Field(default="1", description="CPU of a pod: what it asks for, and may use at most.")
    memory: Bytes = Field(default="1Gi", description="Memory of a pod: what it asks for, and may use at most.")
    port: int = Field(default=80, ge=1, le=65535, description="Port of the Service.")
    environment: dict[Variable, VariableValue] = Field(
        default_factory=dict, description="More environment variables of the service: {NAME: value}; no secrets."
    )
    secret: ObjectName | None = Field(
        default=None,
        description="Secret object that holds the service's secrets, a key for each variable; "
        "null: one is made from the environment of the command that deploys.",
    )
    image_pull_policy: Literal["Always", "IfNotPresent"] | None = Field(
        default=None,
        description="When nodes fetch images; null: Always for a tag, IfNotPresent for a digest.",
    )
    image_pull_secret: ObjectName | None = Field(default=None, description="Secret that the registry asks for.")
    log_volume: Bytes | None = Field(
        default=None, description="Size of a volume for a prediction log in files; there can be only one pod then."
    )
    storage_class: ObjectName | None = Field(default=None, description="Class of volumes; null: the cluster's own.")
    gateway: Gateway | None = Field(default=None, description="Gateway of the Gateway API; null: no HTTPRoute.")
    rollout_by: Literal["weight", "mirror"] = Field(
        default="weight",
        description="What deployment.rollout does: answer a share of the requests by the new model, or send it copies.",
    )
    allow_namespaces: tuple[DnsLabel, ...] = Field(
        default=(), max_length=32, description="Namespaces whose pods may call the service; none: all."
    )
    egress_ports: tuple[int, ...] | None = Field(
        default=None, description="TCP ports that the service may call; null: what its prediction log needs."
    )
    monitor_image: Image | None = Field(default=None, description="Image that runs `pizzeria monitor`.")
    maintain_image: Image | None = Field(default=None, description="Image that runs `pizzeria maintain`.")
    maintain_account: ObjectName | None = Field(
        default=None, description="ServiceAccount of `pizzeria maintain`, which may deploy; null: one with no rights."
    )
    store_claim: ObjectName | None = Field(
        default=None, description="PersistentVolumeClaim with the store of runs, for the two; null: one is made."
    )
    store_size: Bytes = Field(default="5Gi", description="Size of the one that is made.")
    rollout_timeout_s: int = Field(
        default=300, ge=10, le=3600, description="How long new pods may take until all are ready."
    )
    force_conflicts: bool = Field(
        default=False, description="Take over fields that somebody else has changed in the cluster."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Options:
        if self.max_replicas < self.min_replicas:
            raise ValueError(
                f"max_replicas {self.max_replicas} is less than min_replicas {self.min_replicas}; write as many or more"
            )
        if self.log_volume is not None and self.max_replicas > 1:
            raise ValueError("log_volume: only one pod can keep a log in files; write min_replicas: 1, max_replicas: 1")
        if self.form == "kserve" and (self.gateway is not None or self.log_volume is not None):
            raise ValueError("form: kserve brings its own routes and no volume; leave gateway and log_volume out")
        for port in self.egress_ports or ():
            if not 1 <= port <= 65535:
                raise ValueError(f"egress_ports: {port} is no TCP port; write 1 to 65535")
        for text in (self.context, self.kubeconfig):
            if text is not None and (text.startswith("-") or not text.isprintable()):
                raise ValueError(f"{text!r} is no context and no file; write the name that kubectl config shows")
        return self
