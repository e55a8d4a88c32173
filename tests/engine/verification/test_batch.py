"""Thousands of listings in one call: resumable, and nothing broken stops the rest."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pizzeria.errors import BundleError, DataError
from pizzeria.inference.bundle import open_bundle
from pizzeria.spec.stages import Serving
from pizzeria.spec.verification import Verification
from pizzeria.verification import Judge, Verified, read_listings, verify_to

RUN = """
import sys, time
from pathlib import Path
from pizzeria.spec.stages import Serving
from pizzeria.verification import Judge, read_listings, verify_to

class Progress:
    def track(self, items, label): return iter(items)
    def say(self, text): print(text, flush=True)
    def update(self, label, done, total, **figures):
        if done == int(sys.argv[4]):
            print("stopped", flush=True)
            time.sleep(600)

verify_to(Path(sys.argv[3]), Judge(Path(sys.argv[1]), Serving()), read_listings(Path(sys.argv[2])), Progress())
"""


class Heard:
    """A progress that keeps what it is told, and may break off."""

    def __init__(self, interrupt_at: int = -1) -> None:
        self.said: list[str] = []
        self.done: list[int] = []
        self._interrupt_at = interrupt_at

    def track(self, items: Sequence[Any], label: str) -> Iterator[Any]:
        yield from items

    def update(self, label: str, done: int, total: int, **figures: float) -> None:
        self.done.append(done)
        if done == self._interrupt_at:
            raise KeyboardInterrupt

    def say(self, text: str) -> None:
        self.said.append(text)


def verify(bundle: Path, table: Path, out: Path, heard: Heard | None = None, **serving: Any) -> Verified:
    return verify_to(out, Judge(bundle, Serving(**serving)), read_listings(table), heard or Heard())


@pytest.mark.parametrize("ending", ["csv", "parquet", "json", "jsonl"])
def test_a_killed_call_goes_on_and_ends_alike(bundle: Path, market: Path, tmp_path: Path, ending: str) -> None:
    undisturbed, out = tmp_path / f"whole.{ending}", tmp_path / f"cut.{ending}"
    assert verify(bundle, market, undisturbed) == Verified(200, 0, 2, 4)
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(bundle), str(market), str(out), "77"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "stopped\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    journal = tmp_path / f"cut.{ending}.journal"
    assert not out.exists()
    assert len(journal.read_text().splitlines()) == 1 + 77
    with open(journal, "ab") as stream:
        stream.write(b'{"listing_id": "L077", "verd')  # as a kill in the middle of a line would leave it
    heard = Heard()
    assert verify(bundle, market, out, heard) == Verified(200, 77, 2, 4)
    assert heard.said == ["going on after 77 of 200 listings"]
    assert heard.done[0] == 78
    assert out.read_bytes() == undisturbed.read_bytes()
    assert not journal.exists()


def test_ctrl_c_keeps_what_was_judged(bundle: Path, market: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole.csv", tmp_path / "out.csv"
    verify(bundle, market, whole)
    with pytest.raises(KeyboardInterrupt):
        verify(bundle, market, out, Heard(interrupt_at=30))
    assert verify(bundle, market, out).resumed == 30
    assert out.read_bytes() == whole.read_bytes()


def test_another_bundle_or_input_begins_anew(
    bundle: Path, make_bundle: Callable[..., Path], market: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"

    def cut_off() -> None:
        with pytest.raises(KeyboardInterrupt):
            verify(bundle, market, out, Heard(interrupt_at=30))

    def begun_anew(bundle: Path, **serving: Any) -> bool:
        heard = Heard()
        resumed = verify(bundle, market, out, heard, **serving).resumed
        assert bool(heard.said) == (resumed == 0)
        return resumed == 0 and "beginning anew" in heard.said[0]

    cut_off()
    assert begun_anew(make_bundle("other", bands={name: [0.1, 0.9] for name in ("bed", "sofa", "tv")}))
    cut_off()
    assert begun_anew(bundle, max_megapixels=1)
    cut_off()
    photo = tmp_path / "photos" / "L150_0.jpg"
    photo.write_bytes((tmp_path / "photos" / "L151_0.jpg").read_bytes() + b"\0")
    assert begun_anew(bundle)
    cut_off()
    market.write_text(market.read_text().replace("L100,bed", "L100,sofa"))
    assert begun_anew(bundle)


def test_what_is_broken_is_told_and_stops_nothing(bundle: Path, market: Path, tmp_path: Path) -> None:
    verify(bundle, market, tmp_path / "out.json")
    results = {one["listing_id"]: one for one in json.loads((tmp_path / "out.json").read_text())}
    assert len(results) == 200
    assert list(results["L007"]["unreadable"]) == ["L007_1.jpg"]
    assert "cannot be decoded" in results["L007"]["unreadable"]["L007_1.jpg"]
    assert [one["amenity"] for one in results["L007"]["verdicts"]] == ["bed", "tv"]
    assert results["L008"]["fault"] == "none of its photos can be read"
    assert results["L009"]["fault"].startswith("listings.csv:11: no photo of listing L009 in ")
    assert results["L009"]["not_judged"] == ["bed", "tv", "jacuzzi"]
    assert all(one["not_judged"] == ["jacuzzi"] for name, one in results.items() if name not in ("L008", "L009"))
    verify(bundle, market, tmp_path / "out.parquet")
    rows = pd.read_parquet(tmp_path / "out.parquet")
    told = rows[rows["verdict"].isin(["unreadable photo", "broken listing"])]
    assert told["listing_id"].tolist() == ["L007", "L008", "L008", "L008", "L008", "L009"]
    confirmed = rows[rows["verdict"] == "confirmed"]
    assert len(confirmed) > 50
    assert confirmed["reason"].str.startswith("seen in L").all()
    assert confirmed["evidence"].notna().all()


def test_two_calls_do_not_share_an_output(bundle: Path, market: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(bundle), str(market), str(out), "5"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "stopped\n"
        with pytest.raises(DataError, match="in use by another"):
            verify(bundle, market, out)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_photos_are_read_where_the_table_names_them(bundle: Path, market: Path, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "listing_id": [1, 2, 3],
            "declared": [["bed"], ["tv", "sofa"], []],
            "photos": [["photos/L000_0.jpg", "photos/L000_1.jpg"], ["photos/L001_0.jpg"], ["photos/none.jpg"]],
        }
    )
    frame.to_parquet(tmp_path / "mine.parquet")
    verify(bundle, tmp_path / "mine.parquet", tmp_path / "out.jsonl")
    first, second, third = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert [photo["name"] for photo in first["photos"]] == ["L000_0.jpg", "L000_1.jpg"]
    assert [one["amenity"] for one in second["verdicts"]] == ["tv", "sofa"]
    assert third["unreadable"] == {"none.jpg": "it cannot be read: No such file or directory"}


def test_mistakes_in_the_table(bundle: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    for text, message in (
        ("", "has no listing"),
        ("listing,declared\n1,bed\n", "no column 'listing_id'"),
        ("listing_id,declared\n1,bed\n", ""),
    ):
        table.write_text(text)
        if message:
            with pytest.raises(DataError, match=message):
                read_listings(table)
    assert read_listings(table)[0].fault.startswith("t.csv:2: no photo of listing 1 in ")
    table.write_text("listing_id,declared\n..,bed\n,bed\n")
    assert [bool(one.fault) for one in read_listings(table)] == [True, True]
    table.write_bytes(b"listing_id,declared\n\xff\xfe,bed\n")
    with pytest.raises(DataError, match="cannot be read"):
        read_listings(table)
    with pytest.raises(DataError, match="is no table of listings"):
        read_listings(bundle / "bundle.json")
    with pytest.raises(DataError, match="ends in none of"):
        verify_to(tmp_path / "out.txt", Judge(bundle, Serving()), [], Heard())


def test_a_prefix_is_not_mistaken_for_another_listing(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("1_a.jpg", "1_b.JPG", "10_a.jpg", "1.jpg", "1_notes.txt"):
        (tmp_path / "photos" / name).touch()
    (tmp_path / "photos" / "2").mkdir()
    (tmp_path / "photos" / "2" / "x.png").touch()
    (tmp_path / "t.csv").write_text("listing_id,declared\n1,bed\n10,bed\n2,bed\n")
    found = [[photo.name for photo in one.photos] for one in read_listings(tmp_path / "t.csv")]
    assert found == [["1_a.jpg", "1_b.JPG"], ["10_a.jpg"], ["x.png"]]


def test_the_bundle_of_rooms_is_checked_like_any(bundle: Path) -> None:
    told = Verification(rooms=str(bundle), prior={"kitchen": {"tv": 0.1}})
    assert open_bundle(bundle).task == "multilabel_classification"
    with pytest.raises(BundleError, match="cannot tell rooms apart"):
        Judge(bundle, Serving(verification=told))


def test_the_journal_is_kept_at_once(bundle: Path, market: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"

    class Counting(Heard):
        def update(self, label: str, done: int, total: int, **figures: float) -> None:
            super().update(label, done, total)
            lines = (tmp_path / "out.csv.journal").read_bytes().count(b"\n")
            assert lines == 1 + done, "a result is kept before it is told"

    assert verify(bundle, market, out, Counting()).listings == 200
