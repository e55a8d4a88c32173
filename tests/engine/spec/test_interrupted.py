"""Ctrl-C while a spec is composed is no fault of the spec."""

from __future__ import annotations

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.errors import ConfigCompositionException

from pizzeria.spec.compose import compose


def test_an_interruption_that_a_clean_up_of_omegaconf_hid(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> object:
        try:
            try:
                raise KeyboardInterrupt
            finally:
                None._invalidate_flags_cache()  # type: ignore[attr-defined]
        except AttributeError as error:
            raise ConfigCompositionException(str(error)) from error

    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compose(["experiment=amenities"])
