"""With public keys, nothing goes live that none of them signed: by deploy, promote, rollback, serve or a restart."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pizzeria.cli import main
from pizzeria.deployments import packed, sign_packed
from pizzeria.loading import load_resolved
from pizzeria.runs.artifacts import Artifacts
from pizzeria.runs.store import Store
from pizzeria.signing.keys import VARIABLE
from pizzeria.spec.signing import Signing

from .conftest import Stall


class Quiet:
    """A progress that keeps what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def pizzeria(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def ok(*arguments: str) -> str:
    done = pizzeria(*arguments)
    assert done.exit_code == 0, done.output
    return done.output


def refused(message: str, *arguments: str) -> None:
    done = pizzeria(*arguments)
    assert (done.exit_code, message in done.stderr) == (5, True), done.output
    assert "Traceback" not in done.output


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, Path]:
    """Two pairs: `a` and `b` sign, `a.pub` and `b.pub` are to be trusted."""
    found = {}
    for name in ("a", "b"):
        key = ec.generate_private_key(ec.SECP256R1())
        pem = serialization.Encoding.PEM
        found[name], found[f"{name}.pub"] = tmp_path / f"{name}.pem", tmp_path / f"{name}.pub"
        found[name].write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        found[name].chmod(0o600)
        found[f"{name}.pub"].write_bytes(
            key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
    return found


def trust(stall: Stall, *paths: Path, runs: str = "ab") -> None:
    """Let the specs of runs ask for signatures."""
    for name in runs:
        path = stall.runs[name].folder / "spec.yaml"
        plain: dict[str, Any] = yaml.safe_load(path.read_text())
        plain["signing"] = {"public_keys": [str(one) for one in paths]}
        path.write_text(yaml.safe_dump(plain, sort_keys=False))


def test_only_what_a_trusted_key_signed_goes_live(stall: Stall, keys: dict[str, Path]) -> None:
    trust(stall, keys["a.pub"])
    refused("is not signed, and only signed bundles may go live", "deploy", "prices-a")
    assert stall.events() == []
    assert not stall.serves()
    refused("is not signed", "promote", "prices-a")
    refused("is not signed", "serve", "prices-a")
    refused("is not signed", "deploy", "prices-a", "--out", "there")
    assert not Path("there").exists()
    ok("sign", "prices-a", "--key", str(keys["b"]))
    refused("is trusted", "deploy", "prices-a")
    signature = Path(ok("sign", "prices-a", "--key", str(keys["a"])).strip())
    assert signature == stall.folder / "runs/.signatures" / f"{stall.sha256['a']}.sig"
    assert f"{stall.sha256['a'][:12]} is signed by {keys['a.pub']}" in ok("sign", "prices-a", "--check")
    ok("deploy", "prices-a")
    assert stall.champion() == stall.sha256["a"]


def test_a_signature_of_another_bundle_does_not_help(stall: Stall, keys: dict[str, Path]) -> None:
    trust(stall, keys["a.pub"])
    signature = Path(ok("sign", "prices-a", "--key", str(keys["a"])).strip())
    shutil.copyfile(signature, signature.with_name(f"{stall.sha256['b']}.sig"))
    refused("is not the bundle that", "deploy", "prices-b")
    assert not stall.serves()


def test_a_rollback_asks_for_what_the_present_one_asks_for(stall: Stall, keys: dict[str, Path]) -> None:
    trust(stall, keys["a.pub"], runs="b")
    ok("deploy", "prices-a")  # before anybody asked for signatures
    ok("sign", "prices-b", "--key", str(keys["a"]))
    ok("deploy", "prices-b")
    refused("is not signed", "rollback", "prices")
    assert stall.champion() == stall.sha256["b"]
    stall.agree()
    ok("sign", "prices-a", "--key", str(keys["a"]))
    ok("rollback", "prices")
    assert stall.champion() == stall.sha256["a"]


def test_the_environment_stands_above_the_store(
    stall: Stall, keys: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(stall, keys["b.pub"])  # as somebody could write who can write to the store
    ok("sign", "prices-a", "--key", str(keys["b"]))
    monkeypatch.setenv(VARIABLE, str(keys["a.pub"]))
    refused("is trusted", "deploy", "prices-a")
    ok("sign", "prices-a", "--key", str(keys["a"]))
    ok("deploy", "prices-a")


def test_two_keys_while_one_replaces_the_other(stall: Stall, keys: dict[str, Path]) -> None:
    trust(stall, keys["a.pub"], keys["b.pub"])
    ok("sign", "prices-a", "--key", str(keys["a"]))
    ok("deploy", "prices-a")
    ok("sign", "prices-b", "--key", str(keys["b"]))
    ok("deploy", "prices-b")


def test_a_run_signs_once_what_it_packed(stall: Stall, keys: dict[str, Path]) -> None:
    run = stall.runs["a"]
    found = packed(run, load_resolved(run.folder / "spec.yaml"), stall.store)
    told, signing = Quiet(), Signing(private_key=keys["a"])
    for _ in range(2):
        sign_packed(found.bundle, signing, stall.store, told)  # type: ignore[arg-type]
    assert len(told.said) == 1
    sign_packed(found.bundle, Signing(private_key=keys["b"]), stall.store, told)  # type: ignore[arg-type]
    assert len(told.said) == 2
    assert not [path for path in run.folder.rglob("*") if path.suffix == ".sig"], "what a stage left stays as it is"


def test_a_signature_travels_with_the_artifacts(stall: Stall, keys: dict[str, Path], tmp_path: Path) -> None:
    trust(stall, keys["a.pub"])
    address = {"PIZZERIA_ARTIFACTS": str(tmp_path / "shared")}
    signed = CliRunner().invoke(main, ["sign", "prices-a", "--key", str(keys["a"])], env=address)
    assert signed.exit_code == 0, signed.output
    shutil.rmtree(stall.folder / "runs/.signatures")  # as on another machine
    refused("is not signed", "deploy", "prices-a")
    done = CliRunner().invoke(main, ["deploy", "prices-a"], env=address)
    assert done.exit_code == 0, done.output
    assert Artifacts.of_environment() is None


def test_a_bundle_that_was_carried_has_its_signature_beside_it(stall: Stall, keys: dict[str, Path]) -> None:
    bundle = stall.runs["a"].stage("package") / "bundle"
    shutil.copytree(bundle, "carried")
    assert ok("sign", "carried", "--key", str(keys["a"])).strip() == str(Path("carried.sig").absolute())
    assert "is signed by" in ok("sign", "carried", "--check", "--trust", str(keys["a.pub"]))
    refused("is trusted", "sign", "carried", "--check", "--trust", str(keys["b.pub"]))
    (Path("carried") / "model.onnx").write_bytes(b"another")
    refused("model.onnx was changed", "sign", "carried", "--check", "--trust", str(keys["a.pub"]))


def test_a_service_does_not_start_with_what_is_no_longer_signed(stall: Stall, keys: dict[str, Path]) -> None:
    from pizzeria.deployments import release_of
    from pizzeria.errors import SignatureError
    from pizzeria_plugins.servers import bentoml
    from pizzeria_plugins.servers.settings import Settings
    from pizzeria_plugins.servers.worker import Worker

    trust(stall, keys["a.pub"])
    signature = Path(ok("sign", "prices-a", "--key", str(keys["a"])).strip())
    run = stall.runs["a"]
    found = packed(run, load_resolved(run.folder / "spec.yaml"), stall.store)
    release = release_of(found.spec, found.bundle, found.sha256, stall.store, run)
    settings = Settings.of_environment(bentoml.settings(release).environment())
    assert settings.public_keys == [str(keys["a.pub"])]
    assert Worker(settings)._signed(found.bundle).sha256 == found.sha256
    signature.write_bytes(signature.read_bytes().replace(b"a", b"b", 1))
    with pytest.raises(SignatureError):
        Worker(settings).open()


def test_a_key_that_cannot_work_is_refused_before_any_work(stall: Stall, keys: dict[str, Path]) -> None:
    Path("none.pem").write_text("no key\n")
    for override, message in (
        ("signing.private_key=absent.pem", "signing.private_key: the private key absent.pem cannot be read"),
        ("signing.private_key=none.pem", "none.pem holds no key in PEM"),
        (f"signing.public_keys=[{keys['a']}]", "signing.public_keys[0]"),
        ("signing.passphrase_from=WORDS", "passphrase_from is there without private_key"),
    ):
        done = pizzeria("validate", "prices.yaml", override)
        assert (done.exit_code, message in done.stderr) == (2, True), done.output
    done = pizzeria(
        "validate", "prices.yaml", f"signing.private_key={keys['a']}", f"signing.public_keys=[{keys['b.pub']}]"
    )
    assert "would not go live: its public half is not trusted" in done.stderr
    keys["a"].chmod(0o644)
    done = pizzeria("validate", "prices.yaml", f"signing.private_key={keys['a']}")
    assert (done.exit_code, "chmod 600" in done.stderr) == (0, True), done.output


def test_who_signs_decides_no_result_but_that_of_deploy(stall: Stall, keys: dict[str, Path], tmp_path: Path) -> None:
    from pizzeria.graph import plan
    from pizzeria.loading import load_spec

    empty, spec = Store(tmp_path / "empty"), load_spec(["prices.yaml"])
    plain = {step.name: step.fingerprint for step in plan(spec, empty)}
    signing = Signing(private_key=keys["a"], public_keys=(keys["a.pub"],))
    signed = {step.name: step.fingerprint for step in plan(spec.model_copy(update={"signing": signing}), empty)}
    assert [name for name in plain if plain[name] != signed[name]] == ["deploy"]


def test_the_private_key_is_in_no_file_of_the_store(stall: Stall, keys: dict[str, Path]) -> None:
    secret = keys["a"].read_text().splitlines()[1]
    ok("sign", "prices-a", "--key", str(keys["a"]))
    held = [path for path in stall.folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert held == []
