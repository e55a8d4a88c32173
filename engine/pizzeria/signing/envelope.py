"""A signature as bytes: a statement on the files of a bundle, signed, in the format of OpenSSF's model-signing 1.0.

The statement (in-toto) names each file with its sha256; the envelope (DSSE) holds it with the signature; the whole has
the form of a Sigstore bundle without a log entry. `model_signing verify key` takes it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from pizzeria.errors import SignatureError
from pizzeria.signing.keys import PrivateKey, PublicKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

_PAYLOAD = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://model_signing/signature/v1.0"
_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
MOST_BYTES = 1 << 20
"""A signature that is larger is none."""


def sign(files: Mapping[str, str], name: str, key: PrivateKey) -> bytes:
    """Sign files.

    Args:
        files: sha256 in hex by relative path.
        name: What they are together, for people.
    """
    payload = json.dumps(_statement(files, name), indent=1).encode()
    made = key.key.sign(_encoded(payload), _algorithm(key.public.key))
    envelope = {"payload": _text(payload), "payloadType": _PAYLOAD, "signatures": [{"sig": _text(made), "keyid": ""}]}
    material = {"publicKey": {"hint": key.public.id}, "tlogEntries": []}
    whole = {"mediaType": _BUNDLE, "verificationMaterial": material, "dsseEnvelope": envelope}
    return json.dumps(whole, indent=1).encode() + b"\n"


def signed_files(data: bytes, keys: Sequence[PublicKey], where: str) -> tuple[PublicKey, dict[str, str]]:
    """What a signature says of files, when one of the keys made it.

    Args:
        data: The signature.
        where: It lies, for messages.

    Returns:
        The key, and sha256 in hex by relative path.

    Raises:
        SignatureError: it is none, another key made it, or it was changed.
    """
    from cryptography.exceptions import InvalidSignature

    try:
        maker, payload, made = _opened(data)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, binascii.Error):
        raise SignatureError(f"{where} is no signature of model-signing", hint="sign the bundle again") from None
    key = next((one for one in keys if one.id == maker), None)
    if key is None:
        raise SignatureError(
            f"{where} is by the key {maker[:12]}, and only {', '.join(one.id[:12] for one in keys)} is trusted",
            hint="sign it again with a trusted key: pizzeria sign RUN --key PRIVATE.pem; or trust that key, too",
        )
    try:
        key.key.verify(made, _encoded(payload), _algorithm(key.key))
    except InvalidSignature:
        raise SignatureError(
            f"{where} says that the key {maker[:12]} ({key.path}) made it, and that is not so: it was changed",
            hint="take the signature that was made, or have the bundle signed again by who may",
        ) from None
    try:
        return key, _files(json.loads(payload))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SignatureError(f"{where} states nothing that can be checked: {error}") from None


def _statement(files: Mapping[str, str], name: str) -> dict[str, Any]:
    names = sorted(files, key=PurePosixPath)
    root = hashlib.sha256(b"".join(bytes.fromhex(files[one]) for one in names)).hexdigest()
    resources = [{"name": one, "algorithm": "sha256", "digest": files[one]} for one in names]
    how = {"method": "files", "hash_type": "sha256", "allow_symlinks": False}
    return {
        "_type": _STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": root}}],
        "predicateType": _PREDICATE,
        "predicate": {"serialization": how, "resources": resources},
    }


def _opened(data: bytes) -> tuple[str, bytes, bytes]:
    """Whose it says it is, the statement and the signature on it."""
    plain = json.loads(data)
    envelope = plain["dsseEnvelope"]
    [one] = envelope["signatures"]
    if (plain["mediaType"], envelope["payloadType"]) != (_BUNDLE, _PAYLOAD):
        raise ValueError("another format")
    maker = plain["verificationMaterial"]["publicKey"]["hint"]
    if not isinstance(maker, str):
        raise TypeError("no key")
    return maker, base64.b64decode(envelope["payload"], validate=True), base64.b64decode(one["sig"], validate=True)


def _files(statement: Mapping[str, Any]) -> dict[str, str]:
    if (statement["_type"], statement["predicateType"]) != (_STATEMENT, _PREDICATE):
        raise ValueError("it is no statement on the files of a model")
    resources = statement["predicate"]["resources"]
    if any(one["algorithm"] != "sha256" for one in resources):
        raise ValueError("a file is named by another hash than sha256")
    files = {str(one["name"]): str(one["digest"]) for one in resources}
    if len(files) != len(resources):
        raise ValueError("a file is named twice")
    return files


def _encoded(payload: bytes) -> bytes:
    """What is signed: DSSE's encoding, which binds the type of the payload, too."""
    return b"DSSEv1 %d %s %d %s" % (len(_PAYLOAD), _PAYLOAD.encode(), len(payload), payload)


def _algorithm(key: ec.EllipticCurvePublicKey) -> ec.ECDSA:
    """A hash as long as the curve, as model-signing has it."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    by_size: dict[int, hashes.HashAlgorithm] = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}
    return ec.ECDSA(by_size[key.curve.key_size])


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
