"""The suite that every deployment target passes: the built-in ones, and yours.

Example:
    A whole test file::

        from my_package import fly_io
        from pizzeria.conformance.targets import TargetSuite

        class TestFlyIo(TargetSuite):
            plugin = fly_io
            options = {"region": "ams"}

Most of it needs a place to deploy to. Where there is none, say why in `no_place`, and only what is rendered is checked.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import pytest
from pydantic import ValidationError

from pizzeria import registry
from pizzeria.conformance import tiny_bundles
from pizzeria.conformance.asking import Asker, Quiet
from pizzeria.conformance.corpus import Send, differences, over_http, record
from pizzeria.conformance.plugins import PluginSuite
from pizzeria.conformance.purity import touches
from pizzeria.conformance.structure import (
    HOSTILE,
    parse,
    plain_values,
    reading_once,
    rendered_faults,
    shape,
    text_places,
)
from pizzeria.contracts import DeploymentStatus, Release, Rendered
from pizzeria.errors import DeploymentError, PluginError
from pizzeria.inference.bundle import open_bundle
from pizzeria.ports import free_port
from pizzeria.shipment import content_hash
from pizzeria.spec.stages import PredictionLog, Serving

_SECRET = "a-secret-that-nobody-may-see"  # noqa: S105 - the test's own
_KEYS = "PIZZERIA_CONFORMANCE_KEYS"


class TargetSuite(PluginSuite):
    """Subclass it with a name that begins with `Test`; say which target, with which options.

    The tests of one class share a folder and a deployment, run in the order below, and also work alone.
    """

    kind = "targets"
    name: ClassVar[str] = "conformance"
    """Name of the deployment."""
    no_place: ClassVar[str] = ""
    """Why nothing can be deployed where the tests run; tests that need a place are skipped with it."""
    no_build: ClassVar[str] = ""
    """Why `build` cannot run here, such as a tool that is not installed."""
    may_pause: ClassVar[str] = ""
    """Why requests may fail while a newer bundle takes over; without it, none may."""
    no_log: ClassVar[bool] = False
    """Whether the place keeps no files, so that the service is tried without a prediction log."""

    _folder: ClassVar[Path]
    _made: ClassVar[Any] = None

    @classmethod
    def setup_class(cls) -> None:
        cls._folder = Path(tempfile.mkdtemp(prefix="pizzeria-conformance-"))
        (cls._folder / "state").mkdir()
        (cls._folder / "log").mkdir()
        cls._made = None

    @classmethod
    def teardown_class(cls) -> None:
        try:
            if cls._made is not None and not cls.no_place:
                cls.guarded().remove(cls.name, cls._made, cls._folder / "state")
        finally:
            shutil.rmtree(cls._folder, ignore_errors=True)

    # What an author may override ----------------------------------------------------------------------------------

    @classmethod
    def option_values(cls) -> Mapping[str, Any]:
        """`options`, and a free port for an option `port` that is not among them."""
        if "port" in cls.guarded().Options.model_fields and "port" not in cls.options:
            return {**cls.options, "port": free_port()}
        return cls.options

    @classmethod
    def serving(cls) -> Serving:
        """How the bundle is served: the defaults of a spec."""
        server = registry.load("servers", "bentoml")
        log = None if cls.no_log else PredictionLog(options=registry.load("prediction_logs", "sqlite").Options())
        return Serving(options=server.Options(), log=log)

    def parse(self, name: str, text: str) -> Any:
        """A rendered file as plain data, to see its structure; raises ValueError when it is not what it should be."""
        return parse(name, text)

    def sender(self, status: DeploymentStatus) -> Send:
        """How requests reach the service; over HTTP to its address."""
        return over_http(status.address)

    # What the tests use -------------------------------------------------------------------------------------------

    @classmethod
    def make_options(cls, **changes: Any) -> Any:
        """One Options for all tests of the class, so that all speak of the same place; with changes, another one."""
        if changes:
            return cls.guarded().Options(**{**cls.option_values(), **changes})
        if cls._made is None:
            cls._made = cls.guarded().Options(**cls.option_values())
        return cls._made

    @classmethod
    def release(cls, bundle: Path) -> Release:
        serving = cls.serving()
        opened = open_bundle(bundle)
        return Release(
            name=cls.name,
            bundle=bundle,
            sha256=opened.sha256,
            serving=serving,
            server=registry.load("servers", serving.use),
            log_folder=cls._folder / "log",
            state=cls._folder / "state",
            task=opened.task,
        )

    def needs_a_place(self) -> None:
        if self.no_place:
            pytest.skip(self.no_place)

    def apply(self, bundle: Path) -> DeploymentStatus:
        found: DeploymentStatus = self.guarded().apply(self.release(bundle), self.make_options(), Quiet())
        return found

    def status(self) -> DeploymentStatus:
        found: DeploymentStatus = self.guarded().status(self.name, self.make_options(), self._folder / "state")
        return found

    def remove(self) -> None:
        self.guarded().remove(self.name, self.make_options(), self._folder / "state")

    def have(self, bundle: Path) -> DeploymentStatus:
        """This bundle live, put there if it is not."""
        now = self.status()
        return now if now.state == "live" and now.sha256 == open_bundle(bundle).sha256 else self.apply(bundle)

    def check_answers(self, status: DeploymentStatus, bundle: Path) -> None:
        found = differences(record(bundle, self.serving()), self.sender(status))
        assert not found, "\n".join(found)

    # Rendering ----------------------------------------------------------------------------------------------------

    def test_render_is_pure(self) -> None:
        """render gives the same twice, and touches no file, no socket and no process"""
        target, release, options = self.guarded(), self.release(tiny_bundles.OLDER), self.make_options()
        first: Rendered = target.render(release, options)  # imports what it needs
        own = getattr(target.plugin, "__file__", None)
        allowed = [release.bundle, *([Path(own).parent] if own else [])]
        before = dict(os.environ)
        second, touched = touches(lambda: target.render(release, options), allowed)
        assert not touched, f"render {'; '.join(touched)}"
        assert dict(os.environ) == before, "render changed the environment"
        assert second == first, "render gave something else the second time"
        assert first.files or first.commands, "render gave neither files nor commands"

    def test_render_is_safe_text(self) -> None:
        """files have plain relative paths and can be read back; commands are programs with arguments"""
        faults = rendered_faults(
            self.guarded().render(self.release(tiny_bundles.OLDER), self.make_options()), self.parse
        )
        assert not faults, "; ".join(faults)

    def test_render_holds_no_secret(self) -> None:
        """the name of a secret's environment variable may be rendered, its value never"""
        release = self.release(tiny_bundles.OLDER)
        release = replace(release, serving=release.serving.model_copy(update={"keys_from": _KEYS}))
        with mock.patch.dict(os.environ, {_KEYS: _SECRET}):
            rendered = self.guarded().render(release, self.make_options())
        assert _SECRET not in repr(rendered), "the value of a secret is in what was rendered"

    def test_another_bundle_is_rendered_alike(self) -> None:
        """a newer bundle gives the same files and commands, but for what names it"""
        target, options = self.guarded(), self.make_options()
        old, new = (target.render(self.release(one), options) for one in (tiny_bundles.OLDER, tiny_bundles.NEWER))
        assert len(old.files) == len(new.files)
        assert [len(command) for command in old.commands] == [len(command) for command in new.commands]

    def test_hostile_options_change_nothing_else(self) -> None:
        """a hostile value of an option is refused, or rendered without a change to anything around it"""
        faults: list[str] = []
        read = reading_once(self.parse)
        for place, change in text_places(self.guarded().Options):
            plain = next(filter(None, (self._taken(change, value) for value in plain_values())), None)
            for value in HOSTILE:
                where = f"{place}={value[:40]!r}"
                try:
                    taken = self._taken(change, value)
                except PluginError as error:
                    faults.append(f"{where}: {error.message[:300]}")
                    continue
                if taken is None:
                    continue
                found = [f"{where}: {fault[:300]}" for fault in rendered_faults(taken[1], read)]
                faults += found
                if plain is not None and not found and shape(plain[1], plain[0], read) != shape(taken[1], value, read):
                    faults.append(f"{where} changes the structure of what is rendered")
        assert not faults, "\n".join(faults[:20])

    def _taken(self, change: Any, value: str) -> tuple[str, Rendered] | None:
        """What is rendered with this value, or None where it is refused as it should be."""
        try:
            options = self.make_options(**change(value))
        except ValidationError:
            return None
        try:
            rendered: Rendered = self.guarded().render(self.release(tiny_bundles.OLDER), options)
        except DeploymentError:
            return None
        return value, rendered

    def test_build_is_reproducible(self, tmp_path: Path) -> None:
        """build writes the same bytes twice"""
        target = self.guarded()
        if not hasattr(target, "build"):
            pytest.skip("it has no build")
        if self.no_build:
            pytest.skip(self.no_build)
        release, options = self.release(tiny_bundles.OLDER), self.make_options()
        hashes = set()
        for folder in (tmp_path / "one", tmp_path / "another"):
            folder.mkdir(parents=True)
            for name, text in target.render(release, options).files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text)
            target.build(release, options, folder, Quiet())
            hashes.add(content_hash(folder))
        assert len(hashes) == 1, "the second build differs from the first"

    # Deploying ----------------------------------------------------------------------------------------------------

    def test_nothing_is_there_at_first(self) -> None:
        """status says absent, and remove does nothing, where nothing was deployed"""
        self.needs_a_place()
        self.remove()
        assert self.status().state == "absent"
        self.remove()

    def test_a_bundle_that_does_not_start_leaves_nothing_live(self) -> None:
        """a bundle that does not start raises DeploymentError, and nothing is live then"""
        self.needs_a_place()
        self.remove()
        with pytest.raises(DeploymentError):
            self.apply(tiny_bundles.unable_to_start(self._fresh()))
        assert self.status().state != "live"

    def test_it_comes_up(self) -> None:
        """apply brings the bundle live, and status says so, with the bundle's sha256"""
        self.needs_a_place()
        wanted = open_bundle(tiny_bundles.OLDER).sha256
        done = self.apply(tiny_bundles.OLDER)
        assert (done.state, done.sha256) == ("live", wanted), done
        now = self.status()
        assert (now.state, now.sha256, now.address) == ("live", wanted, done.address), now

    def test_it_gives_the_same_answers(self) -> None:
        """it answers golden and malformed requests byte for byte as every other target does"""
        self.needs_a_place()
        self.check_answers(self.have(tiny_bundles.OLDER), tiny_bundles.OLDER)

    def test_a_second_apply_changes_nothing(self) -> None:
        """the same apply again changes nothing: the service that was there is the one that is there"""
        self.needs_a_place()
        before = self.have(tiny_bundles.OLDER)
        with self._asking(before) as asker:
            again = self.apply(tiny_bundles.OLDER)
        assert (again.state, again.address, again.sha256) == (before.state, before.address, before.sha256)
        assert not asker.failures, f"requests failed meanwhile: {asker.failures[:3]}"

    def test_a_newer_bundle_takes_over(self) -> None:
        """a newer bundle takes over, and no request fails meanwhile"""
        self.needs_a_place()
        with self._asking(self.have(tiny_bundles.OLDER)) as asker:
            done = self.apply(tiny_bundles.NEWER)
        wanted = open_bundle(tiny_bundles.NEWER).sha256
        assert (done.state, done.sha256) == ("live", wanted), done
        assert self.status().sha256 == wanted
        self.check_answers(done, tiny_bundles.NEWER)
        assert self.may_pause or not asker.failures, f"requests failed meanwhile: {asker.failures[:3]}"

    def test_a_bundle_that_does_not_start_changes_nothing(self) -> None:
        """a bundle that does not start raises DeploymentError, and the one before goes on answering"""
        self._refuses(tiny_bundles.unable_to_start)

    def test_a_bundle_that_answers_otherwise_changes_nothing(self) -> None:
        """a bundle that answers its golden request wrongly raises DeploymentError, and the one before goes on"""
        self._refuses(tiny_bundles.answers_otherwise)

    def _refuses(self, make: Any) -> None:
        self.needs_a_place()
        before = self.have(tiny_bundles.OLDER)
        with self._asking(before) as asker, pytest.raises(DeploymentError) as caught:
            self.apply(make(self._fresh()))
        assert caught.value.message.strip(), "the error says nothing"
        now = self.status()
        assert (now.state, now.sha256) == ("live", before.sha256), now
        self.check_answers(now, tiny_bundles.OLDER)
        assert self.may_pause or not asker.failures, f"requests failed meanwhile: {asker.failures[:3]}"

    def test_a_canary_is_staged_shifted_and_settled(self) -> None:
        """a staged bundle gets no traffic until it is shifted, can be observed, and is settled either way"""
        self.needs_a_place()
        target, options, state = self.guarded(), self.make_options(), self._folder / "state"
        if not hasattr(target, "stage"):
            pytest.skip("it puts a new bundle live all at once")
        old = self.have(tiny_bundles.OLDER).sha256
        newer = self.release(tiny_bundles.NEWER)
        sample = open_bundle(newer.bundle).sample_request()
        for keep in (False, True):
            target.stage(newer, options, Quiet())
            assert self.status().sha256 == old, "a staged bundle must get no traffic"
            target.shift(self.name, options, state, 50)
            staged, present = target.observe(self.name, options, state, sample, 4)
            assert (staged.sha256, present.sha256) == (newer.sha256, old)
            assert min(staged.requests, present.requests) >= 4
            assert (staged.errors, present.errors) == (0, 0)
            done = target.settle(self.name, options, state, keep, Quiet())
            assert (done.state, done.sha256) == ("live", newer.sha256 if keep else old)
            again = target.settle(self.name, options, state, keep, Quiet())
            assert (again.state, again.sha256) == ("live", done.sha256), "settling twice must change nothing"
            assert self.status().sha256 == done.sha256
        self.check_answers(self.status(), tiny_bundles.NEWER)

    def test_it_goes(self) -> None:
        """remove takes it down, and may be called twice; status says absent then"""
        self.needs_a_place()
        was = self.have(tiny_bundles.OLDER)
        self.remove()
        assert self.status().state == "absent"
        self.remove()
        with self._asking(was, follow=False) as asker:
            asker.ask_once()
        assert asker.failures, f"{was.address} answers still"

    def _fresh(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._folder)) / "bundle"

    def _asking(self, status: DeploymentStatus, *, follow: bool = True) -> Asker:
        """Asks the golden request again and again; a service that moved is asked where `status` says it is."""

        def find() -> Send:
            now = status
            if follow:
                with suppress(DeploymentError):
                    now = self.status()
            return self.sender(now)

        return Asker(self.sender(status), find, open_bundle(tiny_bundles.OLDER).sample_request()[1])
