"""Real photos: listings that share a home are found, different rooms of one kind are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageEnhance

from pizzeria.intake.hashes import dhash, phash
from pizzeria.leakage.photos import photo_leaks
from pizzeria.spec.leakage import Leakage
from pizzeria.splitting.look_alikes import alike, joined_groups

DISTANCE = Leakage().distance
SHARED_HOMES = [(59, 72), (259, 296), (271, 305), (10, 27)]


def table(photos: dict[str, tuple[str, Image.Image]]) -> pd.DataFrame:
    """By image_id: the listing and the photo."""
    return pd.DataFrame(
        {
            "image_id": list(photos),
            "listing_id": [listing for listing, _ in photos.values()],
            "sha256": list(photos),
            "phash": [f"{phash(photo):016x}" for _, photo in photos.values()],
            "dhash": [f"{dhash(photo):016x}" for _, photo in photos.values()],
        }
    )


def test_listings_that_share_a_home_are_found_and_no_others(shared_data: Path) -> None:
    homes = [home for pair in SHARED_HOMES for home in pair]
    others = [n for n in range(100, 140) if (shared_data / f"listings/photos/{n}_kitchen.jpg").exists()]
    photos = {
        f"{n}_{room}": (str(n), Image.open(path))
        for n in [*homes, *others]
        for room in ("bedroom", "bathroom", "kitchen")
        if (path := shared_data / f"listings/photos/{n}_{room}.jpg").exists()
    }
    images = table(photos)
    listing = images["listing_id"].tolist()
    across = {
        tuple(sorted((int(listing[i]), int(listing[j]))))
        for i, j in alike(images, DISTANCE)
        if listing[i] != listing[j]
    }
    assert across == set(SHARED_HOMES)
    groups = dict(zip(listing, joined_groups(images, "listing_id", DISTANCE), strict=True))
    assert all(groups[str(a)] == groups[str(b)] for a, b in SHARED_HOMES)
    assert len(set(groups.values())) == len(groups) - len(SHARED_HOMES)
    sides = pd.Series(["test" if int(n) in (72, 305) else "train" for n in listing], index=images["image_id"])
    found, harmless = photo_leaks(images, sides, DISTANCE, "listing_id")
    assert {pair.groups for pair in found[0].pairs} == {("listing 59", "listing 72"), ("listing 271", "listing 305")}
    assert harmless["near_duplicates"] > 0


def test_copies_are_found_and_rooms_of_one_kind_are_not(shared_data: Path, tmp_path: Path) -> None:
    paths = sorted((shared_data / "rooms" / "bedroom").iterdir())[:60]
    photos = {path.stem: (path.stem, Image.open(path).convert("RGB")) for path in paths}
    assert len(alike(table(photos), DISTANCE)) == 0
    copies = 0
    for name in list(photos)[:20]:
        photo = photos[name][1]
        photo.save(tmp_path / "copy.jpg", quality=30)
        margin = round(photo.width * 0.01)
        made = {
            "saved": Image.open(tmp_path / "copy.jpg").copy(),
            "small": photo.resize((photo.width // 2, photo.height // 2)),
            "cropped": photo.crop((margin, margin, photo.width - margin, photo.height - margin)),
            "pale": ImageEnhance.Contrast(photo).enhance(0.7),
        }
        photos |= {f"{name}-{how}": (name, copy) for how, copy in made.items()}
        copies += len(made)
    groups = joined_groups(table(photos), None, DISTANCE)
    joined = np.mean(
        [group == name.partition("-")[0] for name, group in zip(photos, groups, strict=True) if "-" in name]
    )
    assert joined > 0.95
