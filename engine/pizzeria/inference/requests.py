"""What the bodies of `POST /predict` and `POST /verify` carry, read and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pizzeria.errors import RequestError, nearest
from pizzeria.inference.multipart import Part, read_parts

MAX_PHOTOS = 64
"""Photos in one listing."""
_FORM = "multipart/form-data"


@dataclass(frozen=True)
class SentPhoto:
    """One photo of `POST /predict`; name and listing are empty when the client gave none."""

    data: bytes
    name: str = ""
    listing_id: str = ""


@dataclass(frozen=True)
class SentListing:
    """One listing of `POST /verify`; photos by name, in their order."""

    photos: Mapping[str, bytes]
    declared: tuple[str, ...]
    listing_id: str = ""


def check_type(route: str, content_type: str, takes_photos: bool) -> None:
    """Refuse a Content-Type that the route cannot read.

    Raises:
        RequestError: 415.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if route == "/verify":
        fits, wanted = kind == _FORM, f"{_FORM} with the photos and the field `declared`"
    elif takes_photos and route != "/feedback":
        fits = kind in ("", _FORM, "application/octet-stream") or kind.startswith("image/")
        wanted = f"the photo as the body with Content-Type image/jpeg, image/png or image/webp, or as {_FORM}"
    else:
        fits = kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
        # Labels change what is known. Another site's page may send a body without a type and without being allowed to.
        fits = fits or (kind == "" and route != "/feedback")
        wanted = f"{'labels' if route == '/feedback' else 'rows'} as application/json"
    if not fits:
        raise RequestError(
            415,
            "wrong_type",
            f"{route} does not read {kind[:80] or 'a body without Content-Type'}",
            hint=f"send {wanted}",
        )


def one_photo(content_type: str, body: bytes) -> SentPhoto:
    """The photo of `POST /predict`: the body itself, or the one file in a form.

    Raises:
        RequestError: 400 malformed; 422 no photo, more than one, or an unknown field.
    """
    if content_type.partition(";")[0].strip().lower() != _FORM:
        return SentPhoto(body)
    files, fields = _sorted_parts(content_type, body, ("listing_id",))
    if len(files) != 1:
        raise RequestError(422, "one_photo", f"the form has {len(files)} photos", hint="send just one as a file")
    return SentPhoto(files[0].data, files[0].filename or "", fields.get("listing_id", ""))


def listing(content_type: str, body: bytes) -> SentListing:
    """The photos and the declared amenities of `POST /verify`.

    A photo without a name, or with one that is taken, gets a number.

    Raises:
        RequestError: 400 malformed; 413 more than 64 photos; 422 no photo, no `declared`, or an unknown field.
    """
    files, fields = _sorted_parts(content_type, body, ("declared", "listing_id"))
    if not files:
        raise RequestError(422, "no_photos", "the listing has no photo", hint="send each photo as a file of the form")
    if len(files) > MAX_PHOTOS:
        raise RequestError(
            413, "too_many_photos", f"the listing has {len(files)} photos", hint=f"send {MAX_PHOTOS} at most"
        )
    if "declared" not in fields:
        raise RequestError(422, "no_declared", "the field `declared` is missing", hint="send declared=bed,sofa")
    photos: dict[str, bytes] = {}
    for number, part in enumerate(files, start=1):
        name = part.filename or f"photo {number}"
        while name in photos:
            name = f"{name} ({number})"
        photos[name] = part.data
    return SentListing(photos, declared_names(fields["declared"]), fields.get("listing_id", ""))


def declared_names(field: str) -> tuple[str, ...]:
    """Amenities as a JSON list, or with commas between; none at all is a listing that declares nothing.

    Raises:
        RequestError: 422, JSON that is no list of texts.

    Example:
        >>> declared_names("bed, sofa"), declared_names('["tv"]'), declared_names("")
        (('bed', 'sofa'), ('tv',), ())
    """
    if not field.lstrip().startswith("["):
        return tuple(name.strip() for name in field.split(",") if name.strip())
    found = read_json(field.strip().encode("utf-8", "surrogatepass"))
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise RequestError(422, "wrong_declared", "`declared` is no list of texts", hint='send ["bed", "sofa"]')
    return tuple(found)


def rows(body: bytes, max_rows: int) -> list[dict[str, Any]]:
    """The rows of `POST /predict`: a JSON list of objects, or {"rows": that list}.

    Raises:
        RequestError: 400 no JSON; 413 too many rows; 422 another shape, no row, NaN or Infinity, or a key twice.
    """
    found = read_json(body)
    if isinstance(found, dict):
        if found.keys() != {"rows"}:
            odd = next((key for key in found if key != "rows"), None)
            said = "`rows` is missing" if odd is None else f"there is no key {odd[:60]!r}"
            raise RequestError(422, "wrong_rows", said, hint='send {"rows": [{column: value}]}')
        found = found["rows"]
    if not isinstance(found, list):
        raise RequestError(422, "wrong_rows", "the rows are no list", hint='send {"rows": [{column: value}]}')
    if not found:
        raise RequestError(422, "no_rows", "there is no row", hint="send at least one")
    if len(found) > max_rows:
        raise RequestError(413, "too_many_rows", f"there are {len(found)} rows", hint=f"send at most {max_rows}")
    return found


def read_json(body: bytes) -> Any:
    """JSON as the standard has it: no NaN or Infinity, no key twice.

    Raises:
        RequestError: 400 no JSON; 422 the two above.
    """
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_unique)
    except UnicodeDecodeError:
        raise RequestError(400, "not_json", "the body is not UTF-8", hint="send JSON in UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise RequestError(400, "not_json", f"the body is not JSON: {error}", hint="send JSON") from None


def _no_constant(name: str) -> Any:
    raise RequestError(422, "not_finite", f"found {name}", hint="write a finite number, or null where it is unknown")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise RequestError(422, "key_twice", f"the key {twice[:60]!r} is there twice", hint="write it once")
    return found


def _sorted_parts(content_type: str, body: bytes, known: Sequence[str]) -> tuple[list[Part], dict[str, str]]:
    """Files, and plain fields by name; a field given several times is joined with commas."""
    parts = read_parts(content_type, body)
    fields: dict[str, str] = {}
    for part in parts:
        if part.filename is not None:
            continue
        if part.name not in known:
            hint = f"{nearest(part.name[:60], known)} A photo needs a file name."
            raise RequestError(422, "unknown_field", f"there is no field {part.name[:60]!r}", hint=hint)
        if part.name in fields and part.name != "declared":
            raise RequestError(422, "field_twice", f"the field {part.name!r} is there twice", hint="send it once")
        fields[part.name] = ",".join(filter(None, (fields.get(part.name), part.text())))
    return [part for part in parts if part.filename is not None], fields
