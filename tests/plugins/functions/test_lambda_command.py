"""A command of Pizzeria behind Lambda's runtime interface, as the images of schedules run it."""

from __future__ import annotations

import sys
from pathlib import Path

from ..targets.lambda_runtime import Instance


def test_each_event_runs_the_command_where_it_may_write(tmp_path: Path) -> None:
    image = tmp_path / "image"
    (image / "conf" / "experiment").mkdir(parents=True)
    spec = "defaults: [amenities]\nname: rooms\n"
    (image / "conf" / "experiment" / "rooms.yaml").write_text(spec)
    module = [sys.executable, "-m", "pizzeria_plugins.functions.lambda_command"]
    for command, kind in ((["validate", "experiment=rooms"], "response"), (["monitor", "nothing"], "error")):
        instance = Instance(image, tmp_path, command=[*module, *command])
        try:
            for _ in range(2 if kind == "response" else 1):
                found, told = instance.invoke({"source": "aws.events"})
                assert found == kind, told
        finally:
            instance.stop()
        if kind == "response":
            assert told["exit_code"] == 0
            assert "rooms: the spec is right" in told["said"]
        else:
            assert "monitor nothing:" in told["errorMessage"]
            assert "there is no run" in told["errorMessage"] or "nothing" in told["errorMessage"]
    assert [path.name for path in image.iterdir()] == ["conf"], "the image itself stays as it was"
