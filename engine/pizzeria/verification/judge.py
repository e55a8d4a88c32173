"""Asks a bundle about listings: photos side by side in threads, and verdicts in the order of the listings."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pizzeria.contracts import Progress
from pizzeria.errors import DataError, RequestError
from pizzeria.inference import listing
from pizzeria.inference.answers import PhotoAnswer
from pizzeria.inference.bundle import open_bundle
from pizzeria.inference.photos import FORMATS, Photo, decode
from pizzeria.inference.predictor import Predictor, usable_cores
from pizzeria.inference.rooms import RoomAnswer, Rooms, open_rooms
from pizzeria.spec.stages import Serving
from pizzeria.verification.listings import Listing

_AHEAD = 4  # photos in the threads' queue, for each core


@dataclass(frozen=True)
class Seen:
    """What is said of one photo."""

    answer: PhotoAnswer
    room: RoomAnswer | None


class Judge:
    """A bundle that judges listings, and what the spec says of them.

    Args:
        bundle: Folder or zip, for detection or multi-label.
        serving: Limits, and the classifier of rooms.

    Raises:
        BundleError: the bundle, or that of rooms, is damaged or does not fit.
        DataError: the model does not say what a photo shows.
    """

    def __init__(self, bundle: Path, serving: Serving) -> None:
        self.bundle = open_bundle(bundle)
        if not self.bundle.judges_presence:
            raise DataError(
                f"listings cannot be verified with a model for {self.bundle.task}",
                hint="object_detection and multilabel_classification say what a photo shows",
            )
        self._serving = serving
        self._predictor = Predictor(self.bundle, threads=1)  # photos are predicted side by side
        self._rooms: Rooms | None = None
        told = serving.verification
        if told.rooms is not None:
            self._rooms = open_rooms(Path(told.rooms), told.prior, self.bundle, threads=1)
        self._formats = tuple(name for name in FORMATS if name.lower() in serving.formats)

    def identity(self) -> dict[str, Any]:
        """All that decides a verdict besides the listing: the same identity judges alike."""
        told, rooms = self._serving.verification, self._rooms
        return {
            "bundle": self.bundle.sha256,
            "rooms": None if rooms is None else rooms.predictor.bundle.sha256,
            "prior": told.prior,
            "max_megapixels": self._serving.max_megapixels,
            "formats": list(self._formats),
        }

    def look(self, path: Path) -> Seen | str:
        """What the bundle says of one photo, or why it cannot."""
        try:
            data = path.read_bytes()
            answer = self._predictor.photo(self._decode(data, self.bundle.preprocessing))
            if self._rooms is None:
                return Seen(answer, None)
            return Seen(answer, self._rooms.tell(self._decode(data, self._rooms.preprocessing)))
        except OSError as error:
            return f"it cannot be read: {error.strerror}"
        except RequestError as error:
            return error.message

    def judge(self, one: Listing, seen: Sequence[Seen | str]) -> dict[str, Any]:
        """`pizzeria.inference.listing.verify` of one listing, with its id and what could not be judged.

        Args:
            one: The listing.
            seen: What `look` said of each of its photos.

        Returns:
            The answer of `POST /verify` (prediction ids are null: nothing is logged) and `listing_id`, `not_judged`
            (amenities that the model does not know; all of them where no photo could be read), `unreadable`
            {photo: why} and `fault`, empty when the listing could be judged.
        """
        answers: dict[str, PhotoAnswer] = {}
        rooms: dict[str, RoomAnswer] = {}
        unreadable: dict[str, str] = {}
        for path, said in zip(one.photos, seen, strict=True):
            name = path.name
            while name in answers or name in unreadable:
                name = f"{name} ({len(answers) + len(unreadable) + 1})"
            if isinstance(said, str):
                unreadable[name] = said
                continue
            answers[name] = said.answer
            if said.room is not None:
                rooms[name] = said.room
        classes = self.bundle.classes
        known = [name for name in one.declared if name in classes]
        unknown = [name for name in dict.fromkeys(one.declared) if name not in classes]
        fault = one.fault
        if answers:
            verdict = listing.verify(known, answers, self.bundle, None, self._rooms, rooms)
        else:
            verdict = {"verdicts": [], "undeclared": [], "photos": [], "model": self.bundle.sha256}
            unknown = list(dict.fromkeys(one.declared))
            fault = fault or "none of its photos can be read"
        return {
            "listing_id": one.listing_id,
            **verdict,
            "not_judged": unknown,
            "unreadable": unreadable,
            "fault": fault,
        }

    def _decode(self, data: bytes, preprocessing: Mapping[str, Any]) -> Photo:
        limit = self._serving.max_megapixels
        return decode(data, max_megapixels=limit, preprocessing=preprocessing, formats=self._formats)


def verify_listings(
    judge: Judge, listings: Sequence[Listing], progress: Progress, start: int = 0
) -> Iterator[dict[str, Any]]:
    """Yield `Judge.judge` of each listing, in their order, while the photos of those to come are looked at.

    A photo or a listing that is broken is told in its result, and stops nothing.

    Args:
        judge: The bundle.
        listings: All of them.
        progress: Told of each.
        start: How many of them are judged already.
    """
    pool = ThreadPoolExecutor(usable_cores(), thread_name_prefix="verify")
    ahead: deque[tuple[Listing, list[Future[Seen | str]]]] = deque()
    waiting = iter(listings[start:])
    done = start
    try:
        while True:
            while sum(len(looks) for _, looks in ahead) < _AHEAD * usable_cores():
                one = next(waiting, None)
                if one is None:
                    break
                ahead.append((one, [pool.submit(judge.look, path) for path in one.photos]))
            if not ahead:
                return
            one, looks = ahead.popleft()
            yield judge.judge(one, [look.result() for look in looks])
            progress.update("verifying", done := done + 1, len(listings))
    finally:
        pool.shutdown(cancel_futures=True)
