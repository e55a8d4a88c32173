"""What Kubernetes accepts as names, quantities and references to images."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SERVICE = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_PATH_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?:(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?)(?::[0-9]{{1,5}})?/)?{_PATH_PART}(?:/{_PATH_PART})*"
    r"(?P<tag>:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?P<digest>@sha256:[0-9a-f]{64})?"
)
_CPU = re.compile(r"[1-9][0-9]{0,5}m|[0-9]{1,4}(\.[0-9]{1,3})?")
_BYTES = re.compile(r"([1-9][0-9]{0,14})(\.[0-9]{1,3})?(k|M|G|T|Ki|Mi|Gi|Ti)?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,252}")


def _dns_label(text: str) -> str:
    if not _LABEL.fullmatch(text):
        raise ValueError(f"{text!r} is no DNS label; write up to 63 of a-z, 0-9 and -, such as kitchen-models")
    return text


def _service_name(text: str) -> str:
    if not _SERVICE.fullmatch(text):
        raise ValueError(
            f"{text!r} cannot name a Service; write up to 40 of a-z, 0-9 and -, a letter first, such as amenities"
        )
    return text


def _subdomain(text: str) -> str:
    if len(text) > 253 or not all(_LABEL.fullmatch(part) for part in text.split(".")):
        raise ValueError(f"{text!r} is no name of an object; write a-z, 0-9, - and dots, such as kitchen.secrets")
    return text


def _host(text: str) -> str:
    if len(text) > 253 or not _HOST.fullmatch(text) or any(len(part) > 63 for part in text.split(".")):
        raise ValueError(f"{text!r} is no host name; write amenities.example.com or *.example.com")
    if re.fullmatch(r"[0-9.]+", text):
        raise ValueError(f"{text!r} is an IP address, and routes have host names; write amenities.example.com")
    return text


def _image(text: str) -> str:
    found = _IMAGE.fullmatch(text)
    if found is None or len(text) > 400:
        raise ValueError(
            f"{text!r} is no reference to an image; write registry.example.com/models/amenities:3 or name@sha256:..."
        )
    if found["digest"] is None and found["tag"] in (None, ":latest"):
        raise ValueError(
            f"{text!r} does not say which image; write its digest, name@sha256:..., or a tag of its own such as :3"
        )
    return text


def _cpu(text: str) -> str:
    if not _CPU.fullmatch(text) or millicores(text) <= 0:
        raise ValueError(f"{text!r} is no amount of CPU; write cores such as 2 or 0.5, or thousandths such as 500m")
    return text


def _bytes(text: str) -> str:
    if not _BYTES.fullmatch(text):
        raise ValueError(f"{text!r} is no amount of memory; write 1Gi, 512Mi ...")
    return text


def _variable(text: str) -> str:
    if not _VARIABLE.fullmatch(text):
        raise ValueError(f"{text!r} is no name of an environment variable; write letters, digits and _, such as TIER")
    return text


def _value(text: str) -> str:
    """Kustomize does not read back all control characters that it writes."""
    for letter in text:
        if unicodedata.category(letter) in ("Cc", "Cs") and letter not in "\t\n":
            raise ValueError(
                f"{text!r} cannot be the value of an environment variable: {letter!r} is a control character, or half"
                " of some other character; leave it out"
            )
    return text


def millicores(cpu: str) -> int:
    """An amount of CPU in thousandths of a core.

    Example:
        >>> millicores("500m"), millicores("1.5"), millicores("2")
        (500, 1500, 2000)
    """
    return int(cpu[:-1]) if cpu.endswith("m") else int(Decimal(cpu) * 1000)


def has_digest(image: str) -> bool:
    """Whether a reference names one image for ever.

    Example:
        >>> has_digest("models/amenities:3"), has_digest("models/amenities@sha256:" + "0" * 64)
        (False, True)
    """
    return "@sha256:" in image


DnsLabel = Annotated[str, AfterValidator(_dns_label)]
ServiceName = Annotated[str, AfterValidator(_service_name)]
"""RFC 1035, and short enough for what is added to it: -canary, -monitor, the hashes of pods."""
ObjectName = Annotated[str, AfterValidator(_subdomain)]
HostName = Annotated[str, AfterValidator(_host)]
Image = Annotated[str, AfterValidator(_image)]
Cpu = Annotated[str, AfterValidator(_cpu)]
Bytes = Annotated[str, AfterValidator(_bytes)]
Variable = Annotated[str, AfterValidator(_variable)]
VariableValue = Annotated[str, AfterValidator(_value)]
