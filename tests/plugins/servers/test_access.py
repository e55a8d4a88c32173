"""Who may ask a service what: keys, other sites' pages, what is switched off, and what the headers forbid."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pizzeria.errors import DeploymentError, RequestError
from pizzeria.inference.contract import Reply
from pizzeria.ports import free_port
from pizzeria_plugins.servers import bentoml
from pizzeria_plugins.servers.cors import Cors
from pizzeria_plugins.servers.headers import SECURITY, encode
from pizzeria_plugins.servers.keys import SHORTEST, Keys

OLD, NEW = "the key until today", "the key from now on"
SITE = "https://hosts.example"
JPEG = {"content-type": "image/jpeg"}


def picture() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), "white").save(stream, "JPEG")
    return stream.getvalue()


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.fixture(scope="module")
def locked(detection_bundle: Path, start_many: Any) -> Any:
    """A service with two keys, which the pages of one other site may call."""
    return start_many(
        detection_bundle,
        keys_from="PIZZERIA_KEYS",
        cors=[SITE],
        hosts=["pizzeria.example", "x"],
        environment={"PIZZERIA_KEYS": f"{OLD}, {NEW}"},
    )


@pytest.mark.slow
def test_what_needs_a_key_and_what_does_not(locked: Any) -> None:
    with locked.client as client:
        for path in ("/healthz", "/readyz", "/", "/docs", "/openapi.json"):
            assert client.get(path).status_code == 200
        for answer in (client.get("/metrics"), client.post("/predict", content=picture(), headers=JPEG)):
            assert code(answer) == (401, "no_key")
            assert answer.headers["www-authenticate"] == "Bearer"
        assert code(client.post("/verify")) == (401, "no_key")
        assert code(client.get("/predict")) == (401, "no_key"), "a stranger learns nothing of the route"
        for key in (OLD, NEW):
            for headers in (
                {"Authorization": f"Bearer {key}"},
                {"authorization": f"bearer  {key}"},
                {"X-API-Key": key},
            ):
                assert client.post("/predict", content=picture(), headers=JPEG | headers).status_code == 200
                assert client.get("/metrics", headers=headers).status_code == 200
        wrong = [NEW[:-1], NEW + "x", NEW.upper(), "x", OLD + ", " + NEW]
        for key in wrong:
            assert code(client.get("/metrics", headers={"X-API-Key": key})) == (401, "wrong_key")
        assert code(client.get("/metrics", headers={"Authorization": f"Basic {NEW}"})) == (401, "no_key")


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    ["/predict%3f", "/predict%3Flisting_id=1", "//predict", "/predict/", "/./predict", "/PREDICT", "/%2fpredict"],
)
def test_no_other_spelling_of_a_path_goes_round_the_key(locked: Any, path: str) -> None:
    with locked.connect() as connection:
        body = picture()
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"prediction_id" not in answer


@pytest.mark.slow
def test_a_percent_sign_in_a_known_path_still_needs_the_key(locked: Any) -> None:
    with locked.client as client:
        assert code(client.post("/predic%74", content=picture(), headers=JPEG)) == (401, "no_key")


@pytest.mark.slow
def test_without_a_key_the_body_is_not_waited_for(locked: Any) -> None:
    with locked.connect() as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 401 ")


@pytest.mark.slow
def test_the_keys_are_told_nowhere(locked: Any) -> None:
    with locked.client as client:
        client.get("/metrics", headers={"X-API-Key": "a wrong key of a stranger"})
        told = [client.get(path).text for path in ("/", "/docs", "/openapi.json", "/readyz")]
        told.append(client.get("/metrics", headers={"X-API-Key": NEW}).text)
    told.append(locked.output.read_text())
    for path in locked.release.state.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # what SQLite keeps beside its file comes and goes
            told += [path.read_bytes().decode("latin-1")] if path.is_file() else []
    for key in (OLD, NEW, "a wrong key of a stranger"):
        assert not [text for text in told if key in text]


@pytest.mark.slow
def test_the_document_tells_of_keys_and_other_sites_of_nothing(locked: Any, service: Any) -> None:
    with locked.client as client:
        document = client.get("/openapi.json").json()
    assert document["paths"]["/predict"]["post"]["security"] == [{"bearer": []}, {"header": []}]
    assert "401" in document["paths"]["/metrics"]["get"]["responses"]
    assert "security" not in document["paths"]["/healthz"]["get"]
    assert document["components"]["securitySchemes"]["header"]["name"] == "X-API-Key"
    with service.client as client:
        open_document = client.get("/openapi.json").json()
    assert "securitySchemes" not in open_document["components"]
    assert "401" not in open_document["paths"]["/predict"]["post"]["responses"]


PREFLIGHT = {"Origin": SITE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}


@pytest.mark.slow
def test_a_welcome_site_may_ask_and_read(locked: Any) -> None:
    with locked.client as client:
        asked = client.options("/predict", headers=PREFLIGHT)
        assert asked.status_code == 204
        assert asked.headers["access-control-allow-origin"] == SITE
        assert asked.headers["access-control-allow-methods"] == "POST"
        assert "X-API-Key" in asked.headers["access-control-allow-headers"]
        assert "access-control-allow-credentials" not in asked.headers
        for headers in ({"X-API-Key": NEW}, {}):
            answer = client.post("/predict", content=picture(), headers=JPEG | headers | {"Origin": SITE})
            assert answer.headers["access-control-allow-origin"] == SITE, "a refusal can be read too"
            assert "Origin" in answer.headers["vary"]
        assert "Origin" in client.get("/").headers["vary"]
        assert "Accept-Encoding" in client.get("/").headers["vary"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", SITE + ".evil.example", "http://hosts.example", SITE.upper(), SITE + ":444", "null", "*"],
)
def test_other_sites_are_kept_out(locked: Any, origin: str) -> None:
    with locked.client as client:
        asked = client.options("/predict", headers=PREFLIGHT | {"Origin": origin})
        answer = client.get("/readyz", headers={"Origin": origin})
    assert asked.status_code == 401, "an OPTIONS like any other"
    for one in (asked, answer):
        assert not [name for name in one.headers if name.startswith("access-control")]


@pytest.mark.slow
@pytest.mark.parametrize("host", ["evil.example", "pizzeria.example.evil.example", "127.0.0.1.evil.example", "[x"])
def test_a_name_that_was_made_to_point_here_is_refused(locked: Any, service: Any, host: str) -> None:
    headers = {"Host": host, "X-API-Key": NEW}
    with locked.client as client:
        for method, path in (("GET", "/"), ("GET", "/openapi.json"), ("POST", "/predict"), ("POST", "/feedback")):
            assert code(client.request(method, path, headers=headers, content=b"x")) == (421, "unknown_host")
        for known in ("pizzeria.example", "PIZZERIA.example:443", "localhost", "192.0.2.4", "[::1]:80"):
            assert client.get("/", headers={"Host": known}).status_code == 200
        assert client.get("/readyz", headers=headers).status_code == 200, "whoever watches it may call it as he likes"
    with service.client as client:
        assert client.get("/", headers=headers).status_code == 200, "null: every name"


@pytest.mark.slow
def test_without_cors_every_site_is_kept_out(service: Any) -> None:
    with service.client as client:
        asked = client.options("/predict", headers=PREFLIGHT)
        assert code(asked) == (405, "wrong_method")
        assert not [name for name in asked.headers if name.startswith("access-control")]
        assert "vary" not in client.get("/readyz", headers={"Origin": SITE}).headers


@pytest.mark.slow
def test_every_answer_has_the_security_headers(locked: Any) -> None:
    with locked.client as client:
        ask = [
            client.get("/healthz"),
            client.get("/nowhere"),
            client.get("/metrics"),
            client.post("/docs"),
            client.options("/predict", headers=PREFLIGHT),
            client.post("/predict", content=picture(), headers=JPEG | {"X-API-Key": NEW}),
        ]
        pages = [client.get("/"), client.get("/docs"), client.get("/openapi.json")]
    for answer in ask:
        assert {name: answer.headers.get(name) for name in SECURITY} == SECURITY
    for answer in pages:
        assert {name for name in SECURITY if name not in answer.headers} == set()
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    for answer in (*ask, *pages):
        assert "server" not in answer.headers


@pytest.mark.slow
def test_a_refusal_by_the_protocol_has_them_too(locked: Any) -> None:
    with locked.connect() as connection:
        connection.sendall(b"what is this\r\n\r\n")
        head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
    lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert {name: lines.get(name.lower()) for name in SECURITY} == SECURITY
    assert b'"bad_http"' in body


@pytest.mark.slow
def test_pages_and_metrics_can_be_switched_off(start: Any, detection_bundle: Path) -> None:
    service = start(detection_bundle, pages=False, metrics=False)
    with service.client as client:
        for path in ("/", "/docs", "/openapi.json", "/metrics"):
            for method in ("GET", "HEAD", "POST", "OPTIONS"):
                assert client.request(method, path).status_code == 404
        assert client.get("/readyz").status_code == 200
        assert client.post("/predict", content=picture(), headers=JPEG).status_code == 200


@pytest.mark.slow
def test_metrics_alone_can_be_switched_off(start: Any, detection_bundle: Path) -> None:
    service = start(detection_bundle, metrics=False)
    with service.client as client:
        assert code(client.get("/metrics")) == (404, "not_found")
        assert "/metrics" not in client.get("/openapi.json").json()["paths"]
        assert '"/metrics"' not in client.get("/docs").text


@pytest.mark.slow
@pytest.mark.parametrize("value", [None, f"{NEW},short"])
def test_a_service_without_good_keys_does_not_start(
    make_release: Any, detection_bundle: Path, tmp_path: Path, value: str | None
) -> None:
    release = make_release(detection_bundle, tmp_path, keys_from="PIZZERIA_KEYS")
    rendered = bentoml.render(release, "127.0.0.1", free_port())
    assert NEW not in str(rendered)
    environment = {**os.environ, **rendered.environment}
    environment |= {} if value is None else {"PIZZERIA_KEYS": value}
    ended = subprocess.run(
        rendered.commands[0], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    said = ended.stdout + ended.stderr
    assert "the service cannot start" in said
    assert "PIZZERIA_KEYS" in said
    assert "short" not in said.replace("shorter", "")
    assert NEW not in said


def test_keys_are_compared_whole() -> None:
    keys = Keys([OLD, NEW])
    keys.check({"authorization": f"Bearer {OLD}"})
    keys.check({"x-api-key": NEW})
    for headers in ({}, {"authorization": "Bearer"}, {"authorization": f"Bearer{NEW}"}, {"x-api-key": " "}):
        with pytest.raises(RequestError) as error:
            keys.check(headers)
        assert (error.value.status, error.value.code) == (401, "no_key")
    for key in (NEW[:-1], NEW + NEW, "\xff" * 20, "x" * 100_000):
        with pytest.raises(RequestError) as error:
            keys.check({"x-api-key": key})
        assert error.value.code == "wrong_key"
        assert key not in str(error.value)
    assert NEW not in repr(vars(keys))


def test_keys_are_of_a_length_and_of_letters_that_can_be_sent() -> None:
    Keys.of_environment("KEYS", {"KEYS": "k" * SHORTEST}).check({"x-api-key": "k" * SHORTEST})
    for value, told in (
        ("", "nothing there"),
        (",,", "nothing there"),
        (f"{NEW},abc", "key 2 of 2 in KEYS has 3 characters"),
        ("ключ" * 10, "letters that no header can carry"),
        ("a\tkey with a tab in it", "letters that no header can carry"),
    ):
        with pytest.raises(DeploymentError, match=told) as error:
            Keys.of_environment("KEYS", {"KEYS": value})
        assert "abc" not in str(error.value)


def test_an_answer_keeps_what_it_says_itself() -> None:
    headers = dict(encode(Reply(200, b"{}", headers={"Cache-Control": "no-cache", "ETag": '"1"'})))
    assert headers[b"cache-control"] == b"no-cache"
    assert headers[b"etag"] == b'"1"'
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert b"content-length" not in dict(encode(Reply(304, b"")))
    assert dict(encode(Reply(429, b"{}")))[b"retry-after"] == b"1"


def test_cors_leaves_other_requests_alone() -> None:
    cors = Cors([SITE])
    assert cors.preflight("POST", {"origin": SITE}, ["POST"]) is None
    assert cors.preflight("OPTIONS", {"origin": SITE}, ["POST"]) is None
    reply = Reply(200, b"{}")
    assert Cors([]).share(reply, {"origin": SITE}) is reply


def test_a_stranger_does_not_learn_that_the_service_is_busy(start: Any, slow_bundle: Path) -> None:
    service = start(slow_bundle, max_concurrency=1, keys_from="PIZZERIA_KEYS", environment={"PIZZERIA_KEYS": NEW})
    photo = picture()
    with service.client as client, ThreadPoolExecutor(6) as pool:
        known = JPEG | {"x-api-key": NEW}
        ask = lambda _: client.post("/predict", content=photo, headers=known).status_code  # noqa: E731
        statuses = [pool.submit(ask, n) for n in range(30)]
        strangers = []
        while not all(one.done() for one in statuses):
            strangers.append(client.post("/predict", content=photo, headers=JPEG).status_code)
    assert {one.result() for one in statuses} == {200, 429}
    assert set(strangers) == {401}
