"""Clients of a service that keep asking, well and badly, and note every answer that is not the one to expect."""

from __future__ import annotations

import io
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

Ask = Callable[["httpx.Client", random.Random], tuple[str, "httpx.Response", tuple[int, ...]]]
"""Sends one request; returns what it was, the answer, and the statuses to expect."""
_MOST_TOLD = 50


@dataclass
class Seen:
    """What the clients saw.

    Attributes:
        answers: How often each kind of request got each status.
        failed: Requests with another answer than they should have, or none; the first of them.
        failures: How many they are.
    """

    answers: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    failures: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def requests(self) -> int:
        return self.answers.total()

    def note(self, what: str, status: str, problem: str = "") -> None:
        """Count one answer."""
        with self.lock:
            self.answers[f"{what} {status}"] += 1
            if problem:
                self.failures += 1
                if len(self.failed) < _MOST_TOLD:
                    self.failed.append(f"{time.strftime('%H:%M:%S')} {what}: {problem}")


class Clients:
    """Several clients of one service, each a thread with a connection of its own that it keeps.

    Args:
        url: Of the service.
        asks: What they ask, by chance.
        count: Clients.
        pause_s: How long each waits between two requests, at most.
        seed: Of their chance.
    """

    def __init__(self, url: str, asks: Sequence[Ask], *, count: int, pause_s: float, seed: int) -> None:
        self.seen = Seen()
        self._url, self._asks, self._pause_s = url, asks, pause_s
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(random.Random(seed + i),)) for i in range(count)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, draw: random.Random) -> None:
        import httpx

        with httpx.Client(base_url=self._url, timeout=60, trust_env=False) as client:
            while not self._stop.wait(draw.uniform(0, self._pause_s)):
                ask = draw.choice(self._asks)
                try:
                    what, answer, expected = ask(client, draw)
                except (httpx.HTTPError, ValueError, KeyError) as error:  # no answer, or none as it should be
                    self.seen.note(ask.__name__, "none", f"{type(error).__name__}: {error}")
                    continue
                status = answer.status_code
                problem = "" if status in expected else f"answered {status}: {answer.text[:200]}"
                self.seen.note(what, str(status), problem)


def pages(client: httpx.Client, draw: random.Random) -> tuple[str, httpx.Response, tuple[int, ...]]:
    """What people and probes look at."""
    path = draw.choice(["/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/nowhere"])
    return f"GET {path}", client.get(path), (404,) if path == "/nowhere" else (200,)


def garbage(client: httpx.Client, draw: random.Random) -> tuple[str, httpx.Response, tuple[int, ...]]:
    """What no service should take."""
    body = draw.choice([b"", b"{", b'{"rows": [{"size": "much"}]}', b"\x00" * 100, b"[" * 5000, draw.randbytes(2000)])
    kind = draw.choice(["application/json", "image/jpeg", "application/octet-stream", "nonsense"])
    answer = client.post("/predict", content=body, headers={"Content-Type": kind})
    return "POST /predict garbage", answer, (400, 413, 415, 422)


def rows_and_labels(client: httpx.Client, draw: random.Random) -> tuple[str, httpx.Response, tuple[int, ...]]:
    """Rows as `torture.workplace` draws them, and afterwards the truth of most."""
    rows = [_row(draw) for _ in range(draw.choice([1, 1, 5, 20]))]
    asked = [{name: value for name, value in row.items() if name != "answer"} for row in rows]
    answer = client.post("/predict", json={"rows": asked})
    if answer.status_code != 200 or draw.random() < 0.3:
        return "POST /predict rows", answer, (200,)
    predictions = [one["prediction_id"] for one in answer.json()["predictions"]]
    labels = [{"prediction_id": p, "class": row["answer"]} for p, row in zip(predictions, rows, strict=True)]
    return "POST /feedback", client.post("/feedback", json={"labels": labels}), (202,)


def photos_and_listings(client: httpx.Client, draw: random.Random) -> tuple[str, httpx.Response, tuple[int, ...]]:
    """A photo of coloured boxes for `/predict`, or two of them as a listing for `/verify`."""
    if draw.random() < 0.7:
        sent = {"Content-Type": "image/jpeg"}
        return "POST /predict photo", client.post("/predict", content=_photo(draw), headers=sent), (200,)
    files = [("photos", (f"{i}.jpg", _photo(draw), "image/jpeg")) for i in range(2)]
    answer = client.post("/verify", data={"declared": json.dumps(["bed", "sink"])}, files=files)
    return "POST /verify", answer, (200,)


def _row(draw: random.Random) -> dict[str, Any]:
    size, age, kind = draw.gauss(0, 1), draw.gauss(0, 1), draw.choice("abc")
    answer = "yes" if size + age * (kind == "a") + draw.gauss(0, 0.3) > 0 else "no"
    return {"row_id": f"t{draw.getrandbits(48)}", "size": size, "age": age, "kind": kind, "answer": answer}


def _photo(draw: random.Random) -> bytes:
    from PIL import Image, ImageDraw

    photo = Image.new("RGB", (320, 240), tuple(draw.choices(range(256), k=3)))
    pen = ImageDraw.Draw(photo)
    for _ in range(4):
        x, y = draw.randrange(240), draw.randrange(160)
        pen.rectangle((x, y, x + draw.randrange(20, 80), y + draw.randrange(20, 80)), fill=draw.choice(["red", "teal"]))
    out = io.BytesIO()
    photo.save(out, "JPEG")
    return out.getvalue()
