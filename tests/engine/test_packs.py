from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from pizzeria.errors import DataError
from pizzeria.packs import PackedArrays, link_pack, open_pack, write_pack

RANDOM = np.random.default_rng(0)


def arrays(count: int) -> np.ndarray:
    return RANDOM.integers(0, 255, (count, 4, 5, 3), np.uint8)


def test_arrays_come_back_in_any_order_and_process(tmp_path: Path) -> None:
    one, other = arrays(3), arrays(2)
    packs = [
        write_pack(tmp_path, list("abc"), one, [{"n": i} for i in range(3)]),
        write_pack(tmp_path, list("de"), other, [{}, {}]),
    ]
    names = [packs[i].path.name for i in (1, 0, 0, 1, 0)]
    found = PackedArrays(tmp_path, names, [1, 2, 0, 0, 2])
    expected = np.stack([other[1], one[2], one[0], other[0], one[2]])
    assert (found.shape, found.dtype, len(found)) == ((5, 4, 5, 3), np.uint8, 5)
    for reader in (found, pickle.loads(pickle.dumps(found))):
        assert np.array_equal(reader[3], expected[3])
        assert np.array_equal(reader[np.array([4, 1])], expected[[4, 1]])
        assert np.array_equal(reader[1:3], expected[1:3])
    assert not found[0].flags.writeable
    assert open_pack(packs[0].path).facts == ({"n": 0}, {"n": 1}, {"n": 2})


def test_the_same_keys_make_the_same_file(tmp_path: Path) -> None:
    one = arrays(2)
    names = {write_pack(tmp_path, ["a", "b"], one, [{}, {}]).path.name for _ in range(2)}
    assert [path.name for path in tmp_path.iterdir()] == list(names)


def test_whatever_is_cut_off_or_changed_is_noticed(tmp_path: Path) -> None:
    pack = write_pack(tmp_path, ["a", "b"], arrays(2), [{}, {"width": 7}])
    whole = pack.path.read_bytes()
    assert open_pack(pack.path).intact()
    for damaged in (
        b"",
        whole[:-1],
        whole[:100],
        whole[1:],
        whole + b"x",
        whole.replace(b"width", b"wodth"),
        b"x" * 99,
    ):
        pack.path.write_bytes(damaged)
        with pytest.raises(DataError, match="is damaged or cut off"):
            open_pack(pack.path)
    pack.path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])  # one pixel
    assert not open_pack(pack.path).intact()
    with pytest.raises(DataError, match="damaged"):
        PackedArrays(tmp_path, ["away.pack"], [0])


def test_a_pack_lies_in_two_folders_and_takes_room_once(tmp_path: Path) -> None:
    pack = write_pack(tmp_path, ["a"], arrays(1), [{}])
    (tmp_path / "run").mkdir()
    linked = link_pack(pack, tmp_path / "run")
    assert linked.samefile(pack.path)
    assert link_pack(pack, tmp_path / "run") == linked
    pack.path.unlink()
    assert open_pack(linked).intact()


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="there is no second file system at /dev/shm")
def test_on_another_file_system_it_is_copied(tmp_path: Path) -> None:
    pack = write_pack(tmp_path, ["a"], arrays(1), [{}])
    away = Path("/dev/shm", f"pizzeria-packs-{os.getpid()}")
    if away.parent.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("/dev/shm is the same file system")
    away.mkdir()
    try:
        copy = link_pack(pack, away)
        assert open_pack(copy).intact()
        assert [path.name for path in away.iterdir()] == [pack.path.name]
    finally:
        shutil.rmtree(away)
