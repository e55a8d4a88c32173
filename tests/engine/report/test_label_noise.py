from __future__ import annotations

from pathlib import Path

import pandas as pd
from PIL import Image

import pizzeria.report
from pizzeria.report.label_noise import section
from pizzeria.report.photos import Album
from pizzeria.report.run_folder import RunFolder


def test_photos_whose_label_is_in_doubt_are_shown(tmp_path: Path) -> None:
    collect, features = tmp_path / "stages" / "collect", tmp_path / "stages" / "features"
    collect.mkdir(parents=True)
    features.mkdir()
    Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg")
    images = pd.DataFrame({"image_id": ["a", "b"], "path": [str(tmp_path / "a.jpg"), str(tmp_path / "gone.jpg")]})
    images.to_parquet(collect / "images.parquet")
    assert section(RunFolder(tmp_path), Album(RunFolder(tmp_path))) is None
    odd = pd.DataFrame({"image_id": ["a", "b"], "given": ["<b>sofa", "bed"], "suggested": ["bed", "sofa"]})
    odd.assign(given_probability=0.01, suggested_probability=0.9).to_parquet(features / "label_noise.parquet")
    found = section(RunFolder(tmp_path), Album(RunFolder(tmp_path)))
    assert found is not None
    assert (found["count"], found["more"]) == (2, 0)
    assert [one["photo"] is not None for one in found["shown"]] == [True, False]
    assert Path(pizzeria.report.__file__).parent.joinpath("templates", "label_noise.html.j2").is_file()
