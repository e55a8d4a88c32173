import os
from pathlib import Path

import pytest
import torch

from pizzeria.errors import TrainingError
from pizzeria_plugins.trainers.checkpoint_io import newest, read, write


def content(number: int = 1) -> dict:
    return {
        "number": number,
        "state": {0: {"step": torch.tensor(3.0), "betas": (0.9, 0.999)}, "none": None, "rate": 1e-3, "on": True},
        "weight": torch.randn(4, 3, 3, 3).to(memory_format=torch.channels_last),
        "half": torch.randn(3).bfloat16(),
        "list": [1, "two", [torch.arange(3)]],
    }


def test_gives_back_what_it_was_given(tmp_path: Path) -> None:
    before = content()
    write(before, tmp_path / "epoch-1")
    after = read(tmp_path / "epoch-1")
    assert after["state"][0]["betas"] == (0.9, 0.999)
    assert after["state"]["none"] is None
    assert after["state"]["on"] is True
    assert after["list"][:2] == [1, "two"]
    assert torch.equal(after["list"][2][0], torch.arange(3))
    assert torch.equal(after["half"], before["half"])
    assert torch.equal(after["weight"], before["weight"])
    assert after["weight"].stride() == before["weight"].stride()


def test_keeps_the_newest_two(tmp_path: Path) -> None:
    for number in range(1, 5):
        write(content(number), tmp_path / f"epoch-{number}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-3", "epoch-4"]
    assert newest(tmp_path)[1]["number"] == 4


@pytest.mark.parametrize("name", ["tensors.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, name: str, damage: str) -> None:
    for number in (1, 2):
        write(content(number), tmp_path / f"epoch-{number}")
    path = tmp_path / "epoch-2" / name
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.unlink() if damage == "gone" else path.write_bytes(data if damage == "flip" else data[:-9])
    with pytest.raises(TrainingError, match="is damaged"):
        read(tmp_path / "epoch-2")
    assert newest(tmp_path)[1]["number"] == 1


def test_what_a_kill_left_behind_is_not_taken_for_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / ".epoch-2.tmp").mkdir()
    assert newest(tmp_path) is None
    assert newest(tmp_path / "absent") is None
    write(content(), tmp_path / "epoch-2")
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-2"]


def test_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"cannot hold PosixPath at a\.b"):
        write({"a": {"b": Path("/")}}, tmp_path / "epoch-1")


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="cannot be written"):
        write(content(), tmp_path / "file" / "epoch-1")
    if os.getuid():
        tmp_path.chmod(0o500)
        with pytest.raises(TrainingError, match="cannot be written"):
            write(content(), tmp_path / "epoch-1")
