"""A run of an earlier Pizzeria is still read, and watched as it was."""

from __future__ import annotations

from pathlib import Path

import yaml

from pizzeria.loading import load_resolved, load_spec


def test_a_spec_of_before_is_read(tmp_path: Path) -> None:
    resolved = load_spec(["experiment=amenities"]).resolved()
    monitoring = {name: value for name, value in resolved["monitoring"].items() if name != "quality"}
    monitoring |= {"missing_above": 0.2, "unseen_above": 0.3}
    monitoring["drift"] = {"method": "kolmogorov_smirnov", "above": 0.3, "columns": 2, "multivariate": True}
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(resolved | {"monitoring": monitoring}))
    found = load_resolved(path).monitoring
    assert (found.drift.numbers, found.drift.categories) == ("kolmogorov_smirnov", "l_infinity")
    assert found.drift.multivariate == ("reconstruction",)
    assert (found.quality.missing_above, found.quality.unseen_above) == (0.2, 0.3)
