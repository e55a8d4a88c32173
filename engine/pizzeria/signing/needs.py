"""What is wrong with the keys that a spec names, told before any work."""

from __future__ import annotations

from collections.abc import Iterator

from pizzeria.errors import SignatureError
from pizzeria.signing.keys import passphrase_of, read_private, read_public, trusted
from pizzeria.spec.reading import YamlPath
from pizzeria.spec.signing import Signing


def key_faults(signing: Signing) -> Iterator[tuple[YamlPath, str, str]]:
    """Faults of the section `signing`: path in it, message and hint; none where it names no key."""
    faulty = False
    for i, path in enumerate(signing.public_keys):
        try:
            read_public(path)
        except SignatureError as error:
            faulty = True
            yield ("public_keys", i), error.message, error.hint
    if signing.private_key is None:
        return
    try:
        private = read_private(signing.private_key, passphrase_of(signing.passphrase_from))
    except SignatureError as error:
        yield ("private_key",), error.message, error.hint
        return
    asked = set() if faulty else {read_public(path).id for path in trusted(signing.public_keys)}
    if asked and private.public.id not in asked:
        message = f"what {signing.private_key} signs would not go live: its public half is not trusted"
        yield ("private_key",), message, f"add it to signing.public_keys: openssl ec -in {signing.private_key} -pubout"
