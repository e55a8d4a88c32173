from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from pizzeria.fetching import Address, is_remote, local, state


class Options(BaseModel):
    root: Address


@pytest.mark.parametrize("written", ["photos", "/data/we[i]rd*.csv", "s3://bucket/a b/", "http:x.csv", "gs://b/x#1"])
def test_an_address_stays_as_it_was_written(written):
    assert Options(root=written).root == written
    assert Options.model_json_schema()["properties"]["root"]["type"] == "string"


def test_a_path_of_this_machine_is_itself(tmp_path):
    assert Options(root=tmp_path).root == str(tmp_path)
    for address in (tmp_path, str(tmp_path), f"file://{tmp_path}"):
        assert not is_remote(address)
        assert local(address) == state(address) == tmp_path
    assert local("photos") == Path("photos")


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("s3://key:s3cret@bucket/x", "holds a password"),
        ("https://there/x?X-Amz-Signature=s3cret", "holds a secret"),
        ("zip://a.csv::s3://bucket/a.zip", "not chained"),
        ("simplecache::s3://bucket/a", "not chained"),
        ("https://there/x#sha256=abc", "64 hexadecimal"),
        ("http://[::1", "no address"),
        ("", "empty"),
        (3, "expected a path"),
    ],
)
def test_what_is_refused(written, why):
    with pytest.raises(ValidationError, match=why) as caught:
        Options(root=written)
    assert "s3cret" not in caught.value.errors()[0]["msg"]
