"""Objects of a small Kubernetes API in memory, with server-side apply: fields have owners, who may be in conflict."""

from __future__ import annotations

import copy
import itertools
import re
import threading
import uuid
from collections.abc import Iterator
from typing import Any

Path = tuple[Any, ...]
NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")


class Refused(Exception):
    """What the API answers instead of doing it."""

    def __init__(self, status: int, reason: str, message: str, causes: list[dict[str, str]] | None = None) -> None:
        super().__init__(message)
        self.status, self.reason, self.message, self.causes = status, reason, message, causes or []

    @property
    def body(self) -> dict[str, Any]:
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": {"causes": self.causes},
            "code": self.status,
        }


_MERGED = ("containers", "env", "volumes")
"""Lists whose items are merged by their name; others belong to one owner as a whole."""


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every field that a document sets."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif path and path[-1] in _MERGED and value:
        for item in value:
            yield from leaves(item, (*path, ("name", item["name"])))
    else:
        yield path, value


def _get(value: Any, path: Path) -> Any:
    for step in path:
        if isinstance(step, tuple):
            value = next(
                (item for item in value or [] if isinstance(item, dict) and item.get(step[0]) == step[1]), None
            )
        else:
            value = value.get(step) if isinstance(value, dict) else None
        if value is None:
            return None
    return value


def _set(value: Any, path: Path, new: Any) -> None:
    for step, following in itertools.pairwise(path):
        fresh: Any = [] if isinstance(following, tuple) else {}
        if isinstance(step, tuple):
            found = next((item for item in value if item.get(step[0]) == step[1]), None)
            if found is None:
                value.append(found := {step[0]: step[1]})
            value = found
        else:
            if not isinstance(value.get(step), type(fresh)):
                value[step] = fresh
            value = value[step]
    value[path[-1]] = copy.deepcopy(new)


def _unset(value: Any, path: Path) -> None:
    parent = _get(value, path[:-1]) if len(path) > 1 else value
    if not isinstance(parent, dict):
        return
    if len(path) > 1 and isinstance(path[-2], tuple):
        if path[-1] != "name":
            parent.pop(path[-1], None)
        if set(parent) <= {"name"}:
            _get(value, path[:-2]).remove(parent)
    else:
        parent.pop(path[-1], None)


class Store:
    """All objects by (plural, namespace, name)."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.owners: dict[tuple[str, str, str], dict[Path, set[str]]] = {}
        self._version = itertools.count(100)

    def get(self, plural: str, namespace: str, name: str) -> dict[str, Any]:
        with self.lock:
            found = self.objects.get((plural, namespace, name))
            if found is None:
                raise Refused(404, "NotFound", f'{plural} "{name}" not found')
            return copy.deepcopy(found)

    def list(self, plural: str, namespace: str, selector: dict[str, str] | None = None) -> list[dict[str, Any]]:
        with self.lock:
            return [
                copy.deepcopy(each)
                for (kind, where, _), each in sorted(self.objects.items())
                if (kind, where) == (plural, namespace)
                and (selector or {}).items() <= (each["metadata"].get("labels") or {}).items()
            ]

    def all_in(self, namespace: str) -> list[tuple[str, str]]:
        """Kind and name of every object of a namespace, pods too."""
        with self.lock:
            return [(kind, name) for kind, where, name in sorted(self.objects) if where == namespace]

    def apply(
        self, plural: str, namespace: str, name: str, document: dict[str, Any], manager: str, force: bool
    ) -> tuple[dict[str, Any], bool]:
        """Server-side apply; returns the object, and whether it is new."""
        _check(document, name)
        key = (plural, namespace, name)
        with self.lock:
            old = self.objects.get(key)
            new = copy.deepcopy(old) if old is not None else _fresh(document, namespace, name)
            owners = {path: set(who) for path, who in self.owners.get(key, {}).items()}
            wanted = {
                path: value for path, value in leaves(document) if path[:1] not in _TYPE and path not in _IDENTITY
            }
            conflicts = {
                path: others
                for path, value in wanted.items()
                if (others := owners.get(path, set()) - {manager}) and _get(new, path) != value
            }
            if conflicts and not force:
                raise _conflict(conflicts)
            for path in [path for path, who in owners.items() if manager in who and path not in wanted]:
                owners[path].discard(manager)
                if not owners[path]:
                    del owners[path]
                    _unset(new, path)
            for path, value in wanted.items():
                _set(new, path, value)
                owners[path] = {manager} if path in conflicts else owners.get(path, set()) | {manager}
            self._keep(key, old, new)
            self.owners[key] = owners
            return copy.deepcopy(self.objects[key]), old is None

    def edit(self, plural: str, namespace: str, name: str, manager: str, path: Path, value: Any) -> None:
        """One field changed by somebody else."""
        key = (plural, namespace, name)
        with self.lock:
            new = copy.deepcopy(self.objects[key])
            _set(new, path, value)
            self._keep(key, self.objects[key], new)
            self.owners.setdefault(key, {})[path] = {manager}

    def set_status(self, plural: str, namespace: str, name: str, status: dict[str, Any]) -> None:
        with self.lock:
            found = self.objects.get((plural, namespace, name))
            if found is not None:
                found["status"] = status

    def put(self, plural: str, each: dict[str, Any]) -> None:
        """An object that the cluster itself makes, such as a pod."""
        with self.lock:
            self.objects[plural, each["metadata"]["namespace"], each["metadata"]["name"]] = each

    def delete(self, plural: str, namespace: str, name: str) -> None:
        with self.lock:
            self.get(plural, namespace, name)
            self.drop(plural, namespace, name)

    def drop(self, plural: str, namespace: str, name: str) -> None:
        with self.lock:
            self.objects.pop((plural, namespace, name), None)
            self.owners.pop((plural, namespace, name), None)

    def _keep(self, key: tuple[str, str, str], old: dict[str, Any] | None, new: dict[str, Any]) -> None:
        if old is not None:
            _check_immutable(old, new)
        if new == old:
            return
        metadata = new["metadata"]
        metadata["resourceVersion"] = str(next(self._version))
        if old is not None and old.get("spec") != new.get("spec"):
            metadata["generation"] = metadata.get("generation", 1) + 1
        self.objects[key] = new


_TYPE = {("kind",), ("apiVersion",)}
_IDENTITY = {("metadata", "name"), ("metadata", "namespace")}


def _fresh(document: dict[str, Any], namespace: str, name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "uid": str(uuid.uuid4()), "generation": 1}
    return {"apiVersion": document["apiVersion"], "kind": document["kind"], "metadata": metadata}


def _check(document: dict[str, Any], name: str) -> None:
    metadata = document.get("metadata") or {}
    faults = []
    if metadata.get("name") != name or not NAME.fullmatch(name):
        faults.append(f"metadata.name: Invalid value: {name!r}")
    for key, value in (metadata.get("labels") or {}).items():
        if not isinstance(value, str) or not LABEL.fullmatch(value):
            faults.append(f"metadata.labels[{key}]: Invalid value: {value!r}")
    for value in (document.get("data") or {}).values():
        if not isinstance(value, str):
            faults.append(f"data: Invalid value: {value!r}: must be a string")
    if faults:
        raise Refused(422, "Invalid", f'{document.get("kind")} "{name}" is invalid: {"; ".join(faults)}')


def _check_immutable(old: dict[str, Any], new: dict[str, Any]) -> None:
    what = f'{new["kind"]} "{new["metadata"]["name"]}" is invalid'
    if old.get("immutable") and old.get("data") != new.get("data"):
        raise Refused(422, "Invalid", f"{what}: data: Forbidden: field is immutable when `immutable` is set")
    if new["kind"] == "Deployment" and old["spec"]["selector"] != new["spec"]["selector"]:
        raise Refused(422, "Invalid", f"{what}: spec.selector: Invalid value: field is immutable")


def _conflict(conflicts: dict[Path, set[str]]) -> Refused:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f'conflict with "{" and ".join(sorted(who))}"',
            "field": "".join(f".{step}" if isinstance(step, str) else f"[{step[0]}={step[1]!r}]" for step in path),
        }
        for path, who in conflicts.items()
    ]
    told = "; ".join(f"{cause['message']}: {cause['field']}" for cause in causes)
    many = "conflict" if len(causes) == 1 else "conflicts"
    return Refused(409, "Conflict", f"Apply failed with {len(causes)} {many}: {told}", causes)
