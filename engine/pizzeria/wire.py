"""What a service answers, as typed dictionaries: the JSON of the wire, key by key."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

Task = Literal[
    "object_detection",
    "image_classification",
    "multilabel_classification",
    "tabular_classification",
    "tabular_regression",
]

# `class` is no name that a class body of Python can hold.
_Class = TypedDict("_Class", {"class": str})
_MaybeClass = TypedDict("_MaybeClass", {"class": NotRequired[str]})


class LogState(TypedDict):
    """How the prediction log is: records not written yet, records lost, and whether the last write was refused."""

    waiting: int
    dropped: int
    trouble: bool


class Ready(TypedDict):
    """`GET /readyz`: the model that answers, and its prediction log, if it keeps one."""

    status: Literal["ready"]
    sha256: str
    name: str
    task: Task
    log: NotRequired[LogState]


class Accepted(TypedDict):
    """`POST /feedback`: how many labels are kept now."""

    accepted: int


class Box(_Class):
    """One object: corners in pixels of the upright photo, calibrated confidence, raw score; both in [0, 1]."""

    confidence: float
    score: float
    x_min: float
    y_min: float
    x_max: float
    y_max: float


class Presence(TypedDict):
    """Whether a photo shows a class; the probability is calibrated, in [0, 1]."""

    probability: float
    present: bool


class Saliency(_Class):
    """What of a photo speaks for `class`: `image` is a grey PNG of the whole upright photo in base64, 255 the most.

    It rests on so many `masks`.
    """

    method: str
    masks: int
    image: str


class Contributions(_MaybeClass):
    """What each column adds: `base` and all contributions together are the probability of `class`, or the value."""

    method: str
    base: float
    contributions: dict[str, float]


class PhotoAnswer(_MaybeClass):
    """`POST /predict` of a photo.

    Detection: `boxes` and `presence`. Multi-label: `presence`. Classification: `class`, `probability` and
    `probabilities`. `model` is the bundle's sha256; width and height are pixels of the upright photo.
    """

    width: int
    height: int
    model: str
    prediction_id: str
    boxes: NotRequired[list[Box]]
    presence: NotRequired[dict[str, Presence]]
    probability: NotRequired[float]
    probabilities: NotRequired[dict[str, float]]
    explanation: NotRequired[Saliency]


class RowAnswer(_MaybeClass):
    """One row's answer. Classification: `class`, `probability`, `probabilities`; regression: `value`."""

    prediction_id: str
    probability: NotRequired[float]
    probabilities: NotRequired[dict[str, float]]
    value: NotRequired[float]
    explanation: NotRequired[Contributions]


class RowAnswers(TypedDict):
    """`POST /predict` of rows: one answer for each, in their order."""

    predictions: list[RowAnswer]
    model: str


class EvidenceBox(TypedDict):
    """Where a photo shows an amenity: pixels of the upright photo."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float
    confidence: float


class Evidence(TypedDict):
    """The photo that shows an amenity best."""

    photo: str
    prediction_id: str
    box: EvidenceBox | None


class Verdict(TypedDict):
    """What the photos say of a declared amenity."""

    amenity: str
    verdict: Literal["confirmed", "uncertain", "not shown"]
    probability: float
    reason: str
    evidence: Evidence | None


class Undeclared(TypedDict):
    """An amenity that is shown and not declared."""

    amenity: str
    probability: float
    evidence: Evidence | None


class Room(TypedDict):
    """What room a photo shows, where the service has a room classifier."""

    name: str
    probability: float


class ListingPhoto(TypedDict):
    """One photo of a verified listing."""

    name: str
    prediction_id: str
    width: int
    height: int
    room: NotRequired[Room]


class ListingAnswer(TypedDict):
    """`POST /verify`."""

    verdicts: list[Verdict]
    undeclared: list[Undeclared]
    photos: list[ListingPhoto]
    model: str
