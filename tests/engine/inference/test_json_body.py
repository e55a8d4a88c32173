from __future__ import annotations

import importlib
import json
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pizzeria.inference import json_body


@pytest.fixture(params=["msgspec", "json"])
def to_json(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], bytes]]:
    """With and without msgspec."""
    if request.param == "json":
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "msgspec.json", None)
            importlib.reload(json_body)
            assert json_body._encode is None
            yield json_body.to_json
    else:
        yield json_body.to_json
    importlib.reload(json_body)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values)
def test_what_is_written_is_read_again(value: Any) -> None:
    assert json.loads(json_body.to_json(value)) == value


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_no_answer_holds_what_json_cannot(to_json: Callable[[Any], bytes], number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json({"predictions": [{"value": 1.0}, {"value": number}]})


def test_half_characters_and_nulls_are_written(to_json: Callable[[Any], bytes]) -> None:
    value = {"name": "\ud800 null", "evidence": None, "Zürich": "😀"}
    assert json.loads(to_json(value)) == value
