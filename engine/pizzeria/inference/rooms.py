"""What the room of a photo says about the amenities in it, where a classifier of rooms is configured.

A detector sees each photo as drawn from all photos: of every room, in which a class is as frequent as its `prevalence`
in the validation split. Once the room is known, another share is to be expected, and Bayes' rule in odds form moves the
probability there:

    odds(shows it | photo, room) = odds(shows it | photo) * odds(prior of the room) / odds(prevalence)

where odds(p) = p / (1 - p) and the prior of the room is that of the mixture: the sum over rooms of P(room | photo) *
prior[room][class]; a room without a prior for the class counts with the prevalence, and so says nothing. That is the
correction for shifted priors of Saerens, Latinne and Decaestecker (2002, "Adjusting the outputs of a classifier to new
a priori probabilities"); it takes for granted that an amenity looks alike in every room. Priors are kept within 0.001
and 0.999: no room alone makes a thing certain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pizzeria.errors import BundleError, nearest
from pizzeria.inference.bundle import Bundle, open_bundle
from pizzeria.inference.photos import Photo
from pizzeria.inference.predictor import Predictor
from pizzeria.inference.sample import check_sample

EXPECTED = 0.5
"""An amenity is expected in a room from this prior on, and a photo shows a room from this probability on."""
_SURE = 0.999

Prior = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class RoomAnswer:
    """What room a photo shows.

    Attributes:
        names: R rooms.
        probabilities: float32 [R], calibrated; they sum to 1.
    """

    names: tuple[str, ...]
    probabilities: NDArray[np.float32]

    @property
    def name(self) -> str:
        """The most probable room."""
        return self.names[int(self.probabilities.argmax())]

    @property
    def probability(self) -> float:
        return float(self.probabilities.max())

    def wire(self) -> dict[str, Any]:
        """The key `room` of a photo in the answer of `POST /verify`."""
        return {"name": self.name, "probability": round(self.probability, 6)}


class Rooms:
    """A classifier of rooms, and what is to be expected in each; safe to use from several threads at once.

    Args:
        predictor: Of an image_classification bundle.
        prior: By room and amenity, the probability that a photo of that room shows it.
        amenities: The bundle whose answers are to be updated.

    Raises:
        BundleError: the bundle tells no classes of photos, or lacks a room of the prior; or the bundle of amenities
            lacks one of the prior, or does not know how frequent it is.
    """

    def __init__(self, predictor: Predictor, prior: Prior, amenities: Bundle) -> None:
        bundle = predictor.bundle
        if bundle.task != "image_classification":
            raise BundleError(
                f"{bundle.location} is a model for {bundle.task} and cannot tell rooms apart",
                hint="serving.verification.rooms takes a bundle for image_classification",
            )
        prevalence = amenities.calibration.get("prevalence", {})
        for room, shares in prior.items():
            if room not in bundle.classes:
                raise BundleError(
                    f"serving.verification.prior: {bundle.location} knows no room {room!r}",
                    hint=nearest(room, bundle.classes),
                )
            for name in shares:
                if name not in amenities.classes:
                    raise BundleError(
                        f"serving.verification.prior.{room}: {amenities.location} knows no {name!r}",
                        hint=nearest(name, amenities.classes),
                    )
                if name not in prevalence:
                    raise BundleError(
                        f"{amenities.location} does not say how frequent {name!r} is, so no room can change it",
                        hint="pack it again with this version of Pizzeria",
                    )
        self.predictor = predictor
        self.prior = prior
        self._base = {name: float(prevalence[name]) for shares in prior.values() for name in shares}

    @property
    def preprocessing(self) -> Mapping[str, Any]:
        """What `pizzeria.inference.photos.decode` needs to know of the classifier."""
        return self.predictor.bundle.preprocessing

    def tell(self, photo: Photo) -> RoomAnswer:
        """The room that a photo shows, decoded with `preprocessing`."""
        answer = self.predictor.photo(photo)
        return RoomAnswer(self.predictor.bundle.classes, answer.probabilities)

    def update(self, name: str, probability: float, room: RoomAnswer) -> float:
        """The probability that a photo shows an amenity, once its room is known.

        Args:
            name: The amenity; one that no prior mentions keeps its probability.
            probability: By the photo alone, calibrated, in [0, 1].
            room: From `tell`.
        """
        base = self._base.get(name)
        if base is None:
            return probability
        shares = [self.prior.get(one, {}).get(name, base) for one in room.names]
        mixed = float(np.dot(room.probabilities.astype(np.float64), shares))
        return _moved(probability, base, mixed)

    def where(self, name: str) -> tuple[str, ...]:
        """Rooms in which an amenity is expected."""
        return tuple(room for room, shares in self.prior.items() if shares.get(name, 0) >= EXPECTED)


def shows(room: RoomAnswer, name: str) -> bool:
    """Whether the photo is more likely than not of that room."""
    return float(room.probabilities[room.names.index(name)]) >= EXPECTED


def open_rooms(path: Path, prior: Prior, amenities: Bundle, threads: int | None = None) -> Rooms:
    """Open the bundle of a classifier of rooms; every file is checked against its hash, the golden request asked.

    Args:
        path: The bundle, a folder or a zip.
        prior: See `Rooms`.
        amenities: See `Rooms`.
        threads: Of one prediction.

    Raises:
        BundleError: it is damaged, or does not fit.
    """
    predictor = Predictor(open_bundle(path), threads)
    check_sample(predictor)
    return Rooms(predictor, prior, amenities)


def _moved(probability: float, base: float, prior: float) -> float:
    """Bayes' rule in odds form.

    Example:
        >>> round(_moved(0.5, 0.2, 0.8), 3), _moved(0.3, 0.4, 0.4), _moved(0.0, 0.1, 0.9)
        (0.941, 0.3, 0.0)
    """
    base, prior = (min(max(share, 1 - _SURE), _SURE) for share in (base, prior))
    if base == prior:
        return probability
    ratio = prior * (1 - base) / ((1 - prior) * base)
    return probability * ratio / (probability * ratio + 1 - probability)
