"""Signatures hold what was signed and nothing else, and OpenSSF's own package agrees with ours both ways."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import pytest

from pizzeria.conformance.tiny_bundles import NEWER, OLDER, answers_otherwise
from pizzeria.errors import SignatureError
from pizzeria.inference.bundle import open_bundle, zip_bundle
from pizzeria.signing.checking import check_signed, sign_bundle
from pizzeria.signing.keys import VARIABLE, exposed, read_private, read_public, trusted
from pizzeria.signing.shelf import beside

from .conftest import Make


def signed(folder: Path, private: Path, source: Path = NEWER) -> Path:
    """A copy of a bundle with its signature beside it."""
    bundle = folder / "bundle"
    shutil.copytree(source, bundle)
    beside(bundle).write_bytes(sign_bundle(open_bundle(bundle), read_private(private)))
    return bundle


@pytest.mark.parametrize("curve", ["SECP256R1", "SECP384R1", "SECP521R1"])
def test_what_was_signed_passes_and_any_other_bundle_does_not(tmp_path: Path, make_key: Make, curve: str) -> None:
    private, public = make_key("a", curve)
    bundle = signed(tmp_path, private)
    found = check_signed(open_bundle(bundle), [public], None)
    assert found is not None
    assert found.path == public
    changed = answers_otherwise(tmp_path / "changed")  # a sound bundle, whose hashes were made anew
    shutil.copyfile(beside(bundle), beside(changed))
    with pytest.raises(SignatureError, match=r"is not the bundle that .* signs: manifest.json, sample/answer.json"):
        check_signed(open_bundle(changed), [public], None)


def test_a_zip_is_held_to_the_same_signature(tmp_path: Path, make_key: Make) -> None:
    private, public = make_key("a")
    bundle = signed(tmp_path, private)
    zip_bundle(bundle, tmp_path / "b.zip")
    shutil.copyfile(beside(bundle), tmp_path / "b.zip.sig")
    assert check_signed(open_bundle(tmp_path / "b.zip"), [public], None)


def test_unsigned_and_by_another_key_are_told_apart(tmp_path: Path, make_key: Make) -> None:
    private, public = make_key("a")
    _, other = make_key("b")
    with pytest.raises(SignatureError, match="is not signed, and only signed bundles") as unsigned:
        check_signed(open_bundle(NEWER), [public], tmp_path)
    assert "pizzeria sign RUN --key" in unsigned.value.hint
    bundle = signed(tmp_path, private)
    with pytest.raises(SignatureError, match=f"only {read_public(other).id[:12]} is trusted"):
        check_signed(open_bundle(bundle), [other], None)
    assert check_signed(open_bundle(bundle), [other, public], None), "two keys are trusted while one replaces the other"
    assert check_signed(open_bundle(bundle), [], None) is None, "nothing is asked without a key"


def test_no_changed_byte_of_a_signature_passes(tmp_path: Path, make_key: Make) -> None:
    private, public = make_key("a")
    bundle = signed(tmp_path, private)
    plain = json.loads(beside(bundle).read_text())
    payload = base64.b64decode(plain["dsseEnvelope"]["payload"])
    other = open_bundle(OLDER)
    for name, sha256 in open_bundle(NEWER).hashes.items():
        payload = payload.replace(sha256.encode(), other.hashes.get(name, sha256).encode())
    plain["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    beside(bundle).write_text(json.dumps(plain))
    with pytest.raises(SignatureError, match="that is not so: it was changed"):
        check_signed(open_bundle(bundle), [public], None)
    for nonsense in (b"", b"{}", b"[]", b"null", b'{"mediaType": 1}', b"[" * 100_000, b"\xff"):
        beside(bundle).write_bytes(nonsense)
        with pytest.raises(SignatureError, match="is no signature of model-signing"):
            check_signed(open_bundle(bundle), [public], None)
    beside(bundle).write_bytes(b" " * (2 << 20))
    with pytest.raises(SignatureError, match="more than 1048576 bytes"):
        check_signed(open_bundle(bundle), [public], None)


def test_every_flip_of_a_signature_is_refused_or_says_the_same(tmp_path: Path, make_key: Make) -> None:
    private, public = make_key("a")
    bundle = signed(tmp_path, private)
    whole, opened = beside(bundle).read_bytes(), open_bundle(bundle)
    for at in range(0, len(whole), 7):
        beside(bundle).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        try:
            check_signed(opened, [public], None)
        except SignatureError:
            continue
        # What is not signed changes nothing: blanks, the empty list of log entries and the name of the key in it.
        kept = json.loads(beside(bundle).read_text())["dsseEnvelope"]
        assert (kept["payload"], kept["signatures"][0]["sig"]) == (
            json.loads(whole)["dsseEnvelope"]["payload"],
            json.loads(whole)["dsseEnvelope"]["signatures"][0]["sig"],
        )


def test_keys_that_are_none_are_refused_by_name(tmp_path: Path, make_key: Make) -> None:
    private, public = make_key("a")
    locked, _ = make_key("locked", passphrase="four words as such")
    rsa, rsa_public = make_key("rsa", "RSA")
    old, _ = make_key("old", "SECP256K1")
    (tmp_path / "no.pem").write_text("no key")
    for path, message in (
        (tmp_path / "absent.pem", "cannot be read: No such file"),
        (tmp_path / "no.pem", "holds no key in PEM"),
        (private, "holds a private key, and a public one checks"),
        (rsa_public, "holds a key of another kind"),
    ):
        with pytest.raises(SignatureError, match=message):
            read_public(path)
    for path, passphrase, message in (
        (public, None, "holds a public key, and a private one signs"),
        (locked, None, "is locked by a passphrase, and none was given"),
        (locked, "not these words", "is not opened by the passphrase"),
        (private, "words", "has no passphrase, and one was given"),
        (rsa, None, "holds a key of another kind"),
        (old, None, "of the curve secp256k1"),
    ):
        with pytest.raises(SignatureError, match=message) as refused:
            read_private(path, passphrase)
        assert "words" not in f"{refused.value.message} {refused.value.hint}"
    assert read_private(locked, "four words as such").public.id


def test_a_key_that_others_may_read_is_told(make_key: Make) -> None:
    private, _ = make_key("a")
    assert exposed(private) == ""
    private.chmod(0o640)
    assert "chmod 600" in exposed(private)


def test_the_environment_says_whom_to_trust_whatever_a_spec_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert trusted([Path("/a.pem")]) == (Path("/a.pem"),)
    monkeypatch.setenv(VARIABLE, "/b.pem:/c.pem")
    assert trusted([Path("/a.pem")]) == trusted([]) == (Path("/b.pem"), Path("/c.pem"))


def test_model_signing_checks_what_is_signed_here(tmp_path: Path, make_key: Make) -> None:
    model_signing = pytest.importorskip("model_signing", reason="model-signing, or its pyOpenSSL, is not installed")
    private, public = make_key("a", "SECP384R1")
    bundle = signed(tmp_path, private)
    check = model_signing.verifying.Config().use_elliptic_key_verifier(public_key=public)
    check.verify(bundle, beside(bundle))
    (bundle / "model.onnx").write_bytes(b"another")
    with pytest.raises(ValueError, match=r"Hash mismatch for 'model\.onnx'"):
        check.verify(bundle, beside(bundle))


def test_what_model_signing_signs_passes_here(tmp_path: Path, make_key: Make) -> None:
    model_signing = pytest.importorskip("model_signing", reason="model-signing, or its pyOpenSSL, is not installed")
    private, public = make_key("a")
    bundle = tmp_path / "bundle"
    shutil.copytree(NEWER, bundle)
    model_signing.signing.Config().use_elliptic_key_signer(private_key=private).sign(bundle, beside(bundle))
    assert check_signed(open_bundle(bundle), [public], None)
