"""From which probability on a class is said to be there: what a spec wishes of the threshold of each class."""

from __future__ import annotations

from typing import Any

from pydantic import Field, GetJsonSchemaHandler, model_serializer, model_validator
from pydantic_core import CoreSchema

from pizzeria.spec.section import Section

_MAX_F1 = "max_f1"
_WAYS = "max_f1, {precision: 0.9} or {recall: 0.9}"


class Wish(Section):
    """What one threshold shall do: the highest F1 (`max_f1`), or the best that keeps a precision or a recall."""

    precision: float | None = Field(
        default=None, gt=0, le=1, description="The highest recall with at least this precision."
    )
    recall: float | None = Field(
        default=None, gt=0, le=1, description="The highest precision with at least this recall."
    )

    @property
    def text(self) -> str:
        """The wish in words.

        Example:
            >>> Wish.model_validate("max_f1").text, Wish(precision=0.9).text
            ('max_f1', 'precision at least 0.9')
        """
        if self.precision is not None:
            return f"precision at least {self.precision:g}"
        return _MAX_F1 if self.recall is None else f"recall at least {self.recall:g}"

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value != _MAX_F1:
                raise ValueError(f"found {value!r}; write {_WAYS}")
            return {}
        return value

    @model_validator(mode="after")
    def _one_wish(self) -> Wish:
        if self.precision is not None and self.recall is not None:
            raise ValueError(
                "precision and recall exclude each other here: one is kept, and the other the best it can be"
            )
        return self

    @model_serializer(mode="wrap")
    def _short(self, serialise: Any) -> Any:
        """`max_f1` where nothing else is said, as one would write it."""
        return {name: value for name, value in serialise(self).items() if value not in (None, {})} or _MAX_F1

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        written = handler.resolve_ref_schema(handler(schema))
        properties = {key: value for key, value in written.items() if key not in ("title", "description")}
        return {"description": written.get("description", ""), "anyOf": [{"const": _MAX_F1}, properties]}


class Thresholds(Wish):
    """How the threshold of each class is chosen on the validation split: `max_f1`, or keeping a precision or a recall.

    `by_class` wishes something else of some classes.
    """

    by_class: dict[str, Wish] = Field(
        default_factory=dict, description=f"Another wish for some classes: {_WAYS} by class."
    )

    def of(self, name: str) -> Wish:
        """The wish for one class.

        Example:
            >>> wishes = Thresholds.model_validate({"precision": 0.9, "by_class": {"tv": "max_f1"}})
            >>> wishes.of("bed").text, wishes.of("tv").text
            ('precision at least 0.9', 'max_f1')
        """
        return self.by_class.get(name, self)


EACH_BEST = Thresholds()
"""`max_f1` for each class."""
