"""The painter against scenes simple enough to be worked out by hand."""

from __future__ import annotations

import pytest

from pizzeria_plugins.room_renderer.order import back_to_front
from pizzeria_plugins.room_renderer.painter import Camera, Scene, Thing, paint
from pizzeria_plugins.room_renderer.solids import box, cylinder, extent, prism, rounded
from pizzeria_plugins.room_renderer.styles import KNOWN, NEW

CAMERA = Camera(x=0, y=0, z=0, turn=0, focal=100, width=200, height=150, horizon=75)


def _cube(z: float, half: float, label: str | None, x: float = 0.0) -> Thing:
    return Thing([box(-half, half, -half, half, -half, half, (200, 60, 60))], x=x, z=z, label=label)


def test_a_box_is_where_the_pinhole_camera_sees_it():
    image, [seen] = paint(Scene(things=[_cube(4.5, 0.5, "tv")]), CAMERA)
    assert image.size == (200, 150)
    # Its front stands 4 m away and 0.5 m to each side: 100 * 0.5 / 4 = 12.5 pixels from the middle.
    assert seen.box == pytest.approx((87.5, 62.5, 112.5, 87.5), abs=1)
    assert seen.visible == pytest.approx(1, abs=0.1)


def test_what_stands_before_hides_what_stands_behind():
    before = _cube(2.0, 0.25, None, x=0.2)
    _, [seen] = paint(Scene(things=[before, _cube(4.5, 0.5, "tv")]), CAMERA)
    # The near cube spans x from 100 * -0.05 / 1.75 to 100 * 0.45 / 1.75 pixels: the right half is hidden, and more.
    assert seen.box[2] == pytest.approx(100 - 2.9, abs=1.5)
    assert 0.3 < seen.visible < 0.5
    _, [seen] = paint(Scene(things=[_cube(4.5, 0.5, "tv"), _cube(8.0, 0.5, None)]), CAMERA)
    assert seen.visible > 0.9


def test_what_is_wholly_hidden_or_outside_is_not_seen():
    assert paint(Scene(things=[_cube(2.0, 0.5, None), _cube(4.5, 0.2, "tv")]), CAMERA)[1] == []
    assert paint(Scene(things=[_cube(4.5, 0.5, "tv", x=40.0)]), CAMERA)[1] == []
    assert paint(Scene(things=[_cube(-4.5, 0.5, "tv")]), CAMERA)[1] == []


def test_the_part_outside_the_photo_counts_as_hidden():
    _, [seen] = paint(Scene(things=[_cube(4.5, 0.5, "tv", x=4.0)]), CAMERA)
    assert seen.box[2] == 200
    # Its near left edge is at 170, its right one would be at 212.5.
    assert seen.visible == pytest.approx(0.69, abs=0.05)


def test_order_is_exact_for_boxes_apart():
    lows = [(0, 0, 5), (0, 0, 1), (0, 0, 3)]
    highs = [(9, 1, 6), (1, 1, 2), (4, 1, 4)]
    assert back_to_front(lows, highs, (0.5, 0.5, 0.0)) == [0, 2, 1]
    assert back_to_front(lows, highs, (0.5, 0.5, 9.0)) == [1, 2, 0]


def test_solids_keep_to_their_bounds():
    for solid in (
        rounded(-1, 1, 0, 2, -3, 3, (9, 9, 9), along="y", radius=0.4),
        cylinder(1, 2, 0, 3, 0.5, (9, 9, 9), top=0.8),
        prism([(0, 0), (2, 0), (1, 3)], "x", -1, 1, (9, 9, 9)),
    ):
        for axis in range(3):
            values = [vertex[axis] for vertex in solid.vertices]
            assert min(values) >= solid.low[axis] - 1e-9
            assert max(values) <= solid.high[axis] + 1e-9
        for face in solid.faces:
            assert sum(n * n for n in face.normal) == pytest.approx(1)


@pytest.mark.parametrize("styles", [KNOWN, NEW])
def test_every_style_stands_on_or_above_the_floor_and_fits_a_room(styles):
    from random import Random

    for kind, makers in styles.items():
        for make in makers:
            for seed in range(5):
                low, high = extent(make(Random(seed), (150, 110, 70)))
                assert low[1] >= -1e-9, (kind, make)
                assert high[1] < 2.45, (kind, make)
                assert max(high[0] - low[0], high[2] - low[2]) < 2.6, (kind, make)
