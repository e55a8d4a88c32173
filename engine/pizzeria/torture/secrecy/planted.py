"""Secrets that are planted in the environment, and the search for them in whatever is left and told."""

from __future__ import annotations

import base64
import gzip
import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from urllib.parse import quote, quote_plus

_LARGEST = 200_000_000
"""Bytes of a file that are looked at."""


def plant(random: Random) -> tuple[dict[str, str], dict[str, str]]:
    """Secrets of all kinds, each another.

    Returns:
        The environment variables, and what must be found nowhere, by the variable that holds it.
    """

    def secret() -> str:
        return f"{random.getrandbits(64):016x}"

    def odd() -> str:
        return f"{secret()}/+{secret()[:6]}="  # is written otherwise in an address

    plain = {
        name: odd()
        for name in (
            *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_CLIENT_SECRET"),
            *("AZURE_STORAGE_KEY", "GOOGLE_API_KEY", "HF_TOKEN", "GITHUB_TOKEN", "PGPASSWORD", "SSH_PASSPHRASE"),
            *("MLFLOW_TRACKING_PASSWORD", "KITCHEN_KEYS", "PAGERDUTY_ROUTING_KEY", "HOOK_TOKEN", "HOOK_SIGNS"),
            *("MAIL_USER", "MAIL_PASSWORD"),
        )
    }
    inside = {name: odd() for name in ("KITCHEN_DB", "BROKEN_DB", "ORDERS_DB", "PIZZERIA_ARTIFACTS_TRIED")}
    paths = {name: secret() for name in ("SLACK_WEBHOOK_URL", "PIZZERIA_WEBHOOK_URL")}
    variables = dict(plain)
    for name in ("KITCHEN_DB", "ORDERS_DB"):
        variables[name] = f"postgresql://ann:{quote(inside[name], safe='')}@127.0.0.1:1/kitchen"
    variables["BROKEN_DB"] = f"postgresql:/ann:{quote(inside['BROKEN_DB'], safe='')}@127.0.0.1 kitchen"
    variables["PIZZERIA_ARTIFACTS_TRIED"] = f"s3://key:{quote(inside['PIZZERIA_ARTIFACTS_TRIED'], safe='')}@bucket/runs"
    variables["SLACK_WEBHOOK_URL"] = f"http://127.0.0.1:1/services/T00/B00/{paths['SLACK_WEBHOOK_URL']}"
    variables["PIZZERIA_WEBHOOK_URL"] = f"http://127.0.0.1:1/{paths['PIZZERIA_WEBHOOK_URL']}"
    return variables, plain | inside | paths


def forms(secret: str) -> frozenset[bytes]:
    """How a secret may be written: as it is, as in an address, in JSON, and in Base64 wherever it begins.

    Example:
        >>> sorted(forms("a/b"))[:2]
        [b'EvY', b'YS9']
    """
    found = {secret, quote(secret, safe=""), quote_plus(secret), secret.replace("/", "\\/")}
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + secret.encode()).decode().rstrip("=")
        # The letters at the edges are made of what stands beside it as well.
        found.add(coded[(0, 2, 3)[before] : -1])
    return frozenset(one.encode() for one in found)


def found_in(data: bytes, planted: Mapping[str, str]) -> list[str]:
    """Variables whose secret is in these bytes."""
    return [name for name, secret in planted.items() if any(form in data for form in forms(secret))]


def leaks(folder: Path, planted: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Each file below a folder, and whose secrets are in it; also in what is compressed."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST:
            continue
        name = str(path.relative_to(folder))
        named = found_in(name.encode(), planted)
        yield name, sorted({*named, *(one for data in _contents(path) for one in found_in(data, planted))})


def _contents(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    yield data
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for one in archive.infolist():
                yield archive.read(one)
    elif data[:2] == b"\x1f\x8b":
        yield gzip.decompress(data)
    elif path.suffix == ".parquet":
        import pyarrow.parquet as pq

        yield "\n".join(str(column.to_pylist()) for column in pq.read_table(path).columns).encode()
