"""The commands on the demo's run, as a user types them: right ones, and his mistakes."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from pizzeria.graph import NAMES as STAGES

from .conftest import Kitchen

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def _photos(kitchen: Kitchen) -> Path:
    return (kitchen.only_run / "stages" / "collect" / "photos").resolve()


def test_an_unchanged_run_does_nothing(kitchen: Kitchen) -> None:
    done = kitchen.run("run", "experiment=amenities")
    assert done.returncode == 0, done.stderr
    assert "nothing to do" in done.stdout
    planned = kitchen.run("plan", "experiment=amenities").stdout
    assert planned.count(" done ") == len(STAGES)
    assert "training.max_epochs" in kitchen.run("plan", "experiment=amenities", "training.max_epochs=99").stdout


def test_predict_draws_and_writes_coco_results(kitchen: Kitchen, tmp_path: Path) -> None:
    photos = sorted(_photos(kitchen).iterdir())[:3]
    for photo in photos:
        shutil.copy(photo, tmp_path)
    (tmp_path / "broken.jpg").write_bytes(photos[0].read_bytes()[:900])
    out = tmp_path / "found.json"
    done = kitchen.run("predict", "amenities", str(tmp_path), "--out", str(out), "--drawn", str(tmp_path / "drawn"))
    assert done.returncode == 4, done.stderr
    assert "not predicted" in done.stderr
    assert "broken.jpg" in done.stderr
    results = json.loads(out.read_text())
    assert {entry["image_id"] for entry in results} <= {photo.name for photo in photos}
    assert all(len(entry["bbox"]) == 4 and 0 <= entry["score"] <= 1 for entry in results)
    drawn = sorted((tmp_path / "drawn").iterdir())
    assert len(drawn) == 3
    with Image.open(drawn[0]) as copy, Image.open(photos[0]) as original:
        assert copy.size == original.size


def test_predict_gives_the_same_through_the_service(kitchen: Kitchen, tmp_path: Path) -> None:
    photos = [str(photo) for photo in sorted(_photos(kitchen).iterdir())[:8]]
    found = {}
    for name, source in {"run": ["amenities"], "service": ["--url", kitchen.address]}.items():
        out, drawn = tmp_path / f"{name}.json", tmp_path / name
        done = kitchen.run("predict", *source, *photos, "--out", str(out), "--drawn", str(drawn))
        assert done.returncode == 0, done.stderr
        found[name] = out.read_text(), {path.name: path.read_bytes() for path in drawn.iterdir()}
    assert found["run"] == found["service"]
    assert len(found["run"][1]) == 8


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_predict_writes_tables(kitchen: Kitchen, tmp_path: Path, ending: str) -> None:
    photo = min(_photos(kitchen).iterdir())
    out = tmp_path / f"found.{ending}"
    done = kitchen.run("predict", "amenities", str(photo), "--out", str(out), "--drawn", str(tmp_path / "drawn"))
    assert done.returncode == 0, done.stderr
    frame = pd.read_csv(out) if ending == "csv" else pd.read_parquet(out)
    assert {"file_name", "category", "x", "y", "width", "height", "score", "confidence"} <= set(frame.columns)


def test_coco_results_load_in_pycocotools(kitchen: Kitchen, tmp_path: Path) -> None:
    import contextlib
    import io

    from pycocotools.coco import COCO

    photo = min(_photos(kitchen).iterdir())
    out = tmp_path / "found.json"
    kitchen.run("predict", "amenities", str(photo), "--out", str(out), "--drawn", str(tmp_path / "drawn"))
    truth = {"images": [{"id": photo.name, "width": 1, "height": 1}], "annotations": [], "categories": []}
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        loaded = coco.loadRes(json.loads(out.read_text()))
    assert len(loaded.anns) == len(json.loads(out.read_text()))


def test_verify_gives_a_verdict_for_each_declared_amenity(kitchen: Kitchen, tmp_path: Path) -> None:
    stage = kitchen.only_run / "stages" / "collect"
    listings = pd.read_parquet(stage / "listings.parquet").head(3)
    images = pd.read_parquet(stage / "images.parquet")
    rows = []
    for _, listing in listings.iterrows():
        own = images.loc[images["listing_id"] == listing["listing_id"], "path"]
        paths = ";".join(str((stage / path).resolve()) for path in own)
        rows.append(
            {
                "listing_id": listing["listing_id"],
                "declared": " ".join([*listing["declared"], "jacuzzi"]),
                "photos": paths,
            }
        )
    csv = tmp_path / "listings.csv"
    pd.DataFrame(rows).to_csv(csv, index=False)
    out = tmp_path / "verdicts.csv"
    assert kitchen.run("verify", "amenities", str(csv), "--out", str(out)).returncode == 0
    verdicts = pd.read_csv(out, dtype={"listing_id": str})
    assert set(verdicts["verdict"]) <= {"confirmed", "uncertain", "not shown", "seen but not declared", "not judged"}
    for row, (_, listing) in zip(rows, listings.iterrows(), strict=True):
        own = verdicts[verdicts["listing_id"] == row["listing_id"]]
        judged = own[own["verdict"] != "seen but not declared"]
        assert set(judged["amenity"]) == set(listing["declared"]) | {"jacuzzi"}
    confirmed = verdicts[verdicts["verdict"] == "confirmed"]
    assert len(confirmed)
    assert confirmed["evidence"].notna().all()
    shown = kitchen.run("verify", "amenities", str(csv))
    assert "confirmed" in shown.stdout


def test_status_and_monitor(kitchen: Kitchen) -> None:
    done = kitchen.run("status")
    assert done.returncode == 0
    assert f"amenities  live  {kitchen.address}" in done.stdout
    assert (
        kitchen.run("monitor", "amenities", "--since", "2999-01-01").returncode == 11
    )  # nothing to judge is undecided


def test_maintain_waits_as_the_spec_says(kitchen: Kitchen) -> None:
    done = kitchen.run("maintain", "amenities", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert re.search(r"kept|waiting", done.stdout)


MISTAKES = [
    (["validate", "experiment=amenitis"], 2, "did you mean amenities?"),
    (["validate", "experiment=amenities", "training.max_epoch=3"], 2, "did you mean max_epochs"),
    (["validate", "no_such.yaml"], 2, "there is no file no_such.yaml"),
    (["validate", "training.max_epochs=3"], 2, "'problem' is missing"),
    (["run", "experiment=amenities", "--until", "trian"], 2, "did you mean train?"),
    (["predict", "amenites", "x.jpg"], 2, "did you mean amenities"),
    (["predict", "amenities", "no_such.jpg"], 4, "there is no no_such.jpg"),
    (["verify", "amenities", "no_such.csv"], 4, "there is no no_such.csv"),
    (["stop", "amenites"], 2, "nothing named 'amenites' is deployed"),
    (["rollback", "amenities"], 2, "no other bundle to go back to"),
    (["frobnicate"], 2, "No such command"),
]


@pytest.mark.parametrize(("arguments", "code", "text"), MISTAKES, ids=[" ".join(one[0]) for one in MISTAKES])
def test_a_user_never_sees_a_traceback_for_his_own_mistake(
    kitchen: Kitchen, arguments: list[str], code: int, text: str
) -> None:
    done = kitchen.run(*arguments)
    assert done.returncode == code, done.stderr
    assert text in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def _blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S)


@pytest.mark.parametrize(
    "command",
    [line for block in _blocks("README.md", "bash") for line in block.splitlines() if line.startswith("pizzeria ")],
)
def test_commands_of_the_readme_run(kitchen: Kitchen, command: str) -> None:
    for name, target in {"photos": _photos(kitchen)}.items():
        if not (kitchen.folder / name).exists():
            (kitchen.folder / name).symlink_to(target)
    if not (kitchen.folder / "listings.csv").exists():
        listings = pd.read_parquet(kitchen.only_run / "stages" / "collect" / "listings.parquet").head(2)
        images = pd.read_parquet(kitchen.only_run / "stages" / "collect" / "images.parquet")
        photos = images.groupby("listing_id")["path"].agg(";".join)
        listings["photos"] = listings["listing_id"].map(photos)
        listings["declared"] = listings["declared"].map(" ".join)
        listings.to_csv(kitchen.folder / "listings.csv", index=False)
    done = kitchen.run(*shlex.split(command.split("#")[0])[1:])
    assert done.returncode in (0, 10), f"{command}\n{done.stdout}{done.stderr}"


def test_the_smallest_plugin_of_the_docs_works(kitchen: Kitchen) -> None:
    [plugin] = [block for block in _blocks("docs/plugins.md", "python") if "def send(" in block]
    [command] = [block for block in _blocks("docs/plugins.md", "bash") if "bell" in block]
    path = kitchen.folder / "plugins" / "alerts" / "bell.py"
    path.parent.mkdir(parents=True)
    path.write_text(plugin)
    done = kitchen.run(*shlex.split(command)[1:])
    assert done.returncode == 0, done.stderr
    spec = (kitchen.only_run / "spec.yaml").read_text()
    ringing = re.sub(
        r"alerts:\n(\s+- .*\n(\s{4,}.*\n)*)", "alerts:\n  - use: bell\n    path: ring.txt\n", spec.partition("\n")[2]
    )
    assert "bell" in ringing
    try:
        (kitchen.only_run / "spec.yaml").write_text(ringing)
        tried = kitchen.run("alerts", "amenities", "--test")
    finally:
        (kitchen.only_run / "spec.yaml").write_text(spec)
        shutil.rmtree(kitchen.folder / "plugins")
    assert (tried.returncode, tried.stdout) == (0, "bell: sent\n"), tried.stdout + tried.stderr
    assert (kitchen.folder / "ring.txt").read_text().startswith("decided: amenities: this is a test")
