"""The account in the report: what was read, used and set aside, and why."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from pizzeria.account import Account
from pizzeria.report import render
from pizzeria.tables import Tables

from .conftest import RunBuilder

PROBLEM = {"need": "n", "owner": "o", "task": "image_classification", "classes": ["a", "b"], "success": []}


def page(folder: Path, account: Account, **data: object) -> str:
    run = RunBuilder(folder / "run", PROBLEM, data)
    run.tables(Tables(images=pd.DataFrame({"image_id": ["1"], "path": ["1.jpg"], "label": ["a"]}), account=account))
    return render(run.path).read_text()


def test_it_says_what_became_of_everything(tmp_path: Path) -> None:
    account = Account({"images": 2000, "boxes": 3})
    account.set_aside("images", "not readable: is empty (0 bytes)", "<b>x</b>.jpg: is empty (0 bytes)", 1200)
    account.handle("images", "turned upright, as EXIF says", "1.jpg", 7)
    also = [{"use": "coco", "class_map": {"couch": "sofa", "bowl": None}}, {"use": "rooms"}]
    text = page(tmp_path, account, also=also)
    section = text[text.index('id="account"') : text.index('id="cost"')]
    words = re.sub(r"<[^>]+>", " ", section)
    assert re.search(r"Photos\s+2,000\s+800\s+1,200", words)
    assert re.search(r"Boxes\s+3\s+3\s+0", words)
    assert re.search(r"7\s+turned upright, as EXIF says", words)
    assert "&lt;b&gt;x&lt;/b&gt;.jpg" in section
    assert re.search(r"coco\s+\(couch as sofa, bowl left out\)", words)
    assert "rooms-2" in words
    assert "Source: rooms and coco" in text


def test_many_reasons_are_counted_together(tmp_path: Path) -> None:
    account = Account({"boxes": 100})
    for number in range(20):
        account.set_aside("boxes", f"of class {number:02}", "1", 20 - number)
        account.read["boxes"] = account.of_aside("boxes")
    words = re.sub(r"<[^>]+>", " ", page(tmp_path, account))
    assert re.search(r"9\s+of class 11\s", words)
    assert re.search(r"36\s+for 8 other reasons", words)
    assert "of class 12" not in words


def test_a_run_without_an_account_has_no_section(tmp_path: Path) -> None:
    assert 'id="account"' not in page(tmp_path, Account())
