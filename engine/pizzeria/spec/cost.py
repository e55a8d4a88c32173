"""`cost`: what hours and requests cost, so that reports can say what training, answers and a catalogue cost."""

from __future__ import annotations

from pydantic import Field, model_validator

from pizzeria.spec.section import Section


class TargetPrice(Section):
    """What one deployment target charges: by the hour of a machine, or by the second and the request."""

    machine_hour: float | None = Field(
        default=None, ge=0, description="Price of one machine, or one replica, for an hour, idle or not."
    )
    utilisation: float = Field(
        default=1.0, gt=0, le=1, description="Share of the paid hours in which it answers; 1: never idle."
    )
    gb_second: float | None = Field(default=None, ge=0, description="Price of a gigabyte of memory for a second.")
    memory_mb: int | None = Field(default=None, gt=0, description="Memory that each request is charged for.")
    million_requests: float = Field(default=0, ge=0, description="Price of a million requests, besides their time.")

    @model_validator(mode="after")
    def _one_way(self) -> TargetPrice:
        if (self.machine_hour is None) == (self.gb_second is None):
            raise ValueError("a target is paid by machine_hour or by gb_second; give one of them")
        if (self.gb_second is None) != (self.memory_mb is None):
            raise ValueError("gb_second and memory_mb belong together: a request is charged for its memory")
        if self.gb_second is not None and self.utilisation != 1.0:
            raise ValueError("utilisation is of a machine: whoever pays by gb_second pays for no idle time")
        return self


class Cost(Section):
    """Prices. There are no defaults: where none is given, reports tell hours and no money.

    No price is part of a fingerprint: a new one runs nothing again.
    """

    currency: str = Field(
        default="USD", pattern=r"^[A-Z]{3}$", description="Currency of all prices, as ISO 4217 has it."
    )
    cpu_core_hour: float | None = Field(default=None, ge=0, description="Price of one CPU core for an hour.")
    gpu_hour: float | None = Field(
        default=None, ge=0, description="Price of one GPU for an hour, with the machine that it is in."
    )
    targets: dict[str, TargetPrice] = Field(
        default={}, description="Prices of deployment targets, by the name of the target's plugin: {vm: {...}}."
    )
    catalogue: int | None = Field(
        default=None, gt=0, description="Photos or rows of the whole catalogue, whose cost is told as well."
    )
