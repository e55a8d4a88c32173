"""What the network sees of a table's columns, made the same way for training and for serving.

`preprocessing` is {"kind": "columns", "numeric": [...], "categorical": [...], "dates": [...], "texts": [...],
"target": {"name", ...}}; bundles of old have neither dates nor texts, nor the keys that are said to be optional here.

numeric      {"name", "median", "mean", "std"}: a missing number becomes the median, then it is (x - mean) / std.
             Optional: "clip": [low, high], to which it is moved first; "log": true, then x becomes the logarithm of
             1 + x (of 1 - x with a minus, below 0); "quantiles": [[x, level], ...], between which the level is looked
             up in place of mean and std; "missing": true, a second input that is 1 where the number was missing;
             "time": true, it holds moments, which count as Unix seconds (UTC where they name no zone).
categorical  {"name", "values", "mode"}: a code, 1 + its index in `values`, and 0 for what was not seen in training.
             Optional: "rare": [...], values that share the next code; "missing": true, the code after that, which is 0
             otherwise. `mode`, the most frequent value, is for explanations; bundles of old do not have it.
dates        {"name", "median", "parts"}: moments as above, from the year 1 to 9999; see `PARTS` for what goes in of
             them. A missing one is 0 in each part. "trend": {"mean", "std", "low", "high"} where that part is named.
             Optional: "missing": true, one more input that is 1 where the moment was missing.
texts        {"name", "inputs": [{"part", "median", "mean", "std"}]}, see `TEXT_PARTS`. Optional: "missing": true.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Preprocessing = Mapping[str, Any]
KINDS = ("numeric", "categorical", "dates", "texts")
CIRCLES = ("month", "weekday", "hour")
"""Parts of a date that come round: two inputs each, sine and cosine of the place in the year, the week and the day."""
CATEGORIES = {"month_category": 12, "weekday_category": 7, "hour_category": 24}
"""Parts of a date that are codes, with how many values they have."""
PARTS = ("trend", *CIRCLES, *CATEGORIES)
"""`trend`: the time since the training split began, standardised, and never past the training split's first or last
moment: how a trend goes on nobody knows."""
TEXT_PARTS = ("characters", "words", "digits", "upper_case", "punctuation")
"""Logarithms of 1 + characters and of 1 + words; then shares of the characters."""
YEAR_1, YEAR_9999 = -62135596800.0, 253402300800.0
"""Unix seconds between which a date lies."""
_DAY_S = 86400.0
_SPACE, _DIGIT, _UPPER, _MARK = 1, 2, 3, 4
_UNIFORM = float(np.sqrt(12.0))
"""By which levels from 0 to 1 are spread to a deviation of 1."""


@dataclass(frozen=True)
class Layout:
    """The network's inputs, and whose they are.

    Attributes:
        names: M columns as a request has them.
        numeric: [F] for each number the position in `names` of the column that it is made from.
        categorical: [G] the same for each code.
        sizes: [G] how many codes there are, from 0 on.
    """

    names: tuple[str, ...]
    numeric: tuple[int, ...]
    categorical: tuple[int, ...]
    sizes: tuple[int, ...]


def columns_of(preprocessing: Preprocessing) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each column with its kind, in the order of `KINDS`."""
    for kind in KINDS:
        for column in preprocessing.get(kind, ()):
            yield kind, column


def column_names(preprocessing: Preprocessing) -> list[str]:
    """What a row of a request must have.

    Example:
        >>> column_names({"numeric": [{"name": "price"}], "categorical": [], "dates": [{"name": "at"}]})
        ['price', 'at']
    """
    return [str(column["name"]) for _, column in columns_of(preprocessing)]


def layout(preprocessing: Preprocessing) -> Layout:
    """The inputs of the network, in their order.

    Example:
        >>> how = {"numeric": [{"name": "price", "missing": True}],
        ...        "categorical": [{"name": "day", "values": ["mon", "tue"], "rare": ["sun"]}],
        ...        "dates": [{"name": "at", "parts": ["hour", "month_category"]}]}
        >>> layout(how)
        Layout(names=('price', 'day', 'at'), numeric=(0, 0, 2, 2), categorical=(1, 2), sizes=(4, 13))
    """
    numeric: list[int] = []
    categorical: list[int] = []
    sizes: list[int] = []
    for owner, (kind, column) in enumerate(columns_of(preprocessing)):
        missing = bool(column.get("missing"))
        if kind == "numeric":
            numeric += [owner] * (1 + missing)
        elif kind == "categorical":
            categorical.append(owner)
            sizes.append(1 + len(column["values"]) + bool(column.get("rare")) + missing)
        elif kind == "dates":
            numeric += [owner] * (sum(_width(part) for part in column["parts"]) + missing)
            codes = [CATEGORIES[part] for part in column["parts"] if part in CATEGORIES]
            categorical += [owner] * len(codes)
            sizes += [1 + count for count in codes]
        else:
            numeric += [owner] * (len(column["inputs"]) + missing)
    return Layout(tuple(column_names(preprocessing)), tuple(numeric), tuple(categorical), tuple(sizes))


def number_inputs(column: Mapping[str, Any], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Numbers [N], NaN where missing, to [N, 1 or 2]."""
    missing = np.isnan(values)
    moved = transformed(column, np.where(missing, float(column["median"]), values))
    return _beside([_scaled(column, moved)], column, missing)


def category_codes(column: Mapping[str, Any], values: Sequence[str | None]) -> NDArray[np.int64]:
    """Texts [N], None where missing, to codes int64 [N]."""
    codes: dict[str | None, int] = {name: i + 1 for i, name in enumerate(column["values"])}
    after = len(column["values"]) + 1
    codes |= dict.fromkeys(column.get("rare", ()), after)
    codes[None] = after + bool(column.get("rare")) if column.get("missing") else 0
    return np.array([codes.get(value, 0) for value in values], np.int64)


def date_inputs(
    column: Mapping[str, Any], seconds: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Unix seconds [N], NaN where missing, to numbers [N, k] and codes [N, m].

    Example:
        >>> date_inputs({"parts": ["hour", "weekday_category"]}, np.array([21600.0, np.nan]))[1].tolist()
        [[4], [0]]
    """
    missing = np.isnan(seconds)
    there = np.where(missing, 0.0, seconds)
    numbers: list[NDArray[np.float64]] = []
    codes: list[NDArray[np.int64]] = []
    for part in column["parts"]:
        if part == "trend":
            how = column["trend"]
            found = [(np.clip(there, how["low"], how["high"]) - float(how["mean"])) / float(how["std"])]
        elif part in CIRCLES:
            turn = 2 * np.pi * date_part(part, there)
            found = [np.sin(turn), np.cos(turn)]
        else:
            name, _, _ = part.partition("_")
            at = np.floor(date_part(name, there, whole=True)).astype(np.int64)
            codes.append(np.where(missing, 0, 1 + at))
            continue
        numbers += [np.where(missing, 0.0, one) for one in found]
    stacked = np.stack(codes, axis=1) if codes else np.empty((len(seconds), 0), np.int64)
    return _beside(numbers, column, missing), stacked


def date_part(part: str, seconds: NDArray[np.float64], *, whole: bool = False) -> NDArray[np.float64]:
    """Where in the year (`month`), the week (`weekday`, from Monday) or the day (`hour`) moments lie, UTC.

    Args:
        seconds: Unix seconds [N], from the year 1 to 9999.
        whole: Give the month, the weekday or the hour, from 0 on, and not the share of the year, the week or the day.

    Example:
        >>> date_part("hour", np.array([43200.0])), date_part("weekday", np.array([0.0]), whole=True)
        (array([0.5]), array([3.]))
    """
    day = np.floor(seconds / _DAY_S)
    of_day = (seconds - day * _DAY_S) / _DAY_S
    if part == "hour":
        return np.floor(of_day * 24) if whole else of_day
    if part == "weekday":
        weekday = (day + 3) % 7
        return weekday if whole else (weekday + of_day) / 7
    date = day.astype(np.int64).astype("datetime64[D]")
    if whole:
        return (date.astype("datetime64[M]").astype(np.int64) % 12).astype(np.float64)
    year = date.astype("datetime64[Y]")
    first, last = (one.astype("datetime64[D]").astype(np.int64) for one in (year, year + np.timedelta64(1, "Y")))
    return (day - first + of_day) / (last - first)


def text_inputs(column: Mapping[str, Any], texts: Sequence[str | None]) -> NDArray[np.float64]:
    """Texts [N], None where missing, to numbers [N, k]."""
    found = text_statistics(texts)
    missing = np.isnan(found["characters"])
    inputs = []
    for how in column["inputs"]:
        values = np.where(missing, float(how["median"]), found[how["part"]])
        inputs.append((values - float(how["mean"])) / float(how["std"]))
    return _beside(inputs, column, missing)


def text_statistics(texts: Sequence[str | None]) -> dict[str, NDArray[np.float64]]:
    """Each of `TEXT_PARTS` for N texts, float64 [N]; NaN where one is missing, and 0 for the empty text.

    Example:
        >>> found = text_statistics(["Flat 7, top floor!", "", None])
        >>> np.expm1(found["words"]).round().tolist(), (found["digits"] * 18).round().tolist()
        ([4.0, 0.0, nan], [1.0, 0.0, nan])
    """
    lengths = np.array([0 if text is None else len(text) for text in texts], np.int64)
    whole = "".join(text for text in texts if text)
    classes = _classes(whole)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    begins = classes != _SPACE
    # A word begins at what is no space, after a space or at a text's beginning.
    firsts = np.zeros(len(classes), bool)
    firsts[starts[:-1][lengths > 0]] = True
    after_space = np.concatenate([[True], classes[:-1] == _SPACE])[: len(classes)]
    begins &= after_space | firsts

    def count(which: NDArray[np.bool_]) -> NDArray[np.float64]:
        total = np.concatenate([[0], np.cumsum(which)])
        return np.asarray(total[starts[1:]] - total[starts[:-1]], np.float64)

    out = {"characters": np.log1p(lengths.astype(np.float64)), "words": np.log1p(count(begins))}
    for part, which in (("digits", _DIGIT), ("upper_case", _UPPER), ("punctuation", _MARK)):
        out[part] = count(classes == which) / np.maximum(lengths, 1)
    missing = np.array([text is None for text in texts], bool)
    return {part: np.where(missing, np.nan, values) for part, values in out.items()}


def usual_row(preprocessing: Preprocessing) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The network's inputs for a row as there are many: medians, and the most frequent categories.

    Returns:
        numeric float32 [1, F] and categorical int64 [1, G].
    """
    numbers: list[NDArray[np.float64]] = []
    codes: list[NDArray[np.int64]] = []
    for kind, column in columns_of(preprocessing):
        if kind == "numeric":
            numbers.append(number_inputs(column, np.array([float(column["median"])])))
        elif kind == "categorical":
            codes.append(category_codes(column, [column.get("mode")])[:, None])
        elif kind == "dates":
            number, code = date_inputs(column, np.array([float(column["median"])]))
            numbers.append(number)
            codes.append(code)
        else:
            usual = [np.array([(how["median"] - how["mean"]) / how["std"]]) for how in column["inputs"]]
            numbers.append(_beside(usual, column, np.zeros(1, bool)))
    numeric = np.concatenate([np.empty((1, 0)), *numbers], axis=1).astype(np.float32)
    return numeric, np.concatenate([np.empty((1, 0), np.int64), *codes], axis=1)


def has_limits(column: Mapping[str, Any]) -> bool:
    """Whether a number may be so large that a float32 cannot hold what becomes of it."""
    return not (column.get("clip") or column.get("log") or column.get("quantiles"))


def transformed(column: Mapping[str, Any], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Numbers [N] clipped, and their logarithms taken, as the column says; they keep their order."""
    if column.get("clip"):
        low, high = map(float, column["clip"])
        values = np.clip(values, low, high)
    if column.get("log"):
        values = np.copysign(np.log1p(np.abs(values)), values)
    return values


def _scaled(column: Mapping[str, Any], values: NDArray[np.float64]) -> NDArray[np.float64]:
    if column.get("quantiles"):
        at, level = np.array(column["quantiles"], np.float64).T
        return np.asarray((np.interp(values, at, level) - 0.5) * _UNIFORM)
    return (values - float(column["mean"])) / float(column["std"])


def _beside(
    inputs: Sequence[NDArray[np.float64]], column: Mapping[str, Any], missing: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Inputs [N] side by side, and the indicator after them where there is one."""
    every = [*inputs, *([missing.astype(np.float64)] if column.get("missing") else [])]
    return np.stack(every, axis=1) if every else np.empty((len(missing), 0))


def _width(part: str) -> int:
    """Numbers that a part of a date gives."""
    return 1 if part == "trend" else 2 * (part in CIRCLES)


def _classes(text: str) -> NDArray[np.uint8]:
    """What each character is, uint8."""
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    if not len(points):
        return np.empty(0, np.uint8)
    table = np.zeros(int(points.max()) + 1, np.uint8)
    for character in set(text):
        table[ord(character)] = _class(character)
    return table[points]


def _class(character: str) -> int:
    if character.isspace():
        return _SPACE
    if character.isdigit():
        return _DIGIT
    if character.isupper():
        return _UPPER
    return 0 if character.isalnum() else _MARK
