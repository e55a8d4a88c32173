"""Tells the channels of `monitoring.alerts`: what opened, what is over, what maintenance did; each once per channel.

Notices lie in an outbox in the history of the deployment. They are written in the transaction that changed the
incidents, and sent after it: at once, and again with growing pauses in later passes, until a channel took them or a day
is over. A channel gets its notices in their order. A kill between a sending and its record sends once more, with the
same key.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pizzeria import registry
from pizzeria.clock import now, utcnow
from pizzeria.contracts import Alarm, Judged, Notice, Standing
from pizzeria.errors import PizzeriaError
from pizzeria.holding import in_turn
from pizzeria.monitoring.history import History, folder_of
from pizzeria.monitoring.incidents import Changes, Incident, open_incidents, prepare
from pizzeria.row_sums import checked, keep_sums
from pizzeria.runs.ledger import Ledger
from pizzeria.runs.store import Store
from pizzeria.spec.spec import Spec

State = Literal["firing", "resolved", "decided"]

PATIENCE_S = 15.0
"""How long a channel may take for one notice."""
AGAIN_S = 1.0
"""Pause before the second try of a pass."""
_PAUSES_S = (60, 300, 900, 3600)
"""After a pass that failed until the next try; the last one from then on."""
_GIVEN_UP_AFTER = timedelta(days=1)
_SAID = 20
"""Alarms that the text of a notice spells out."""
_PASSED = 50
"""Alarms that came and went within a pass, of which a notice tells; the history has all."""
_LONGEST = 1000
_SCHEMA = """
create table if not exists notices(
    id integer primary key, key text not null unique, state text not null, at text not null,
    notice text not null) strict;
create table if not exists deliveries(
    id integer primary key, notice integer not null references notices(id), channel text not null,
    tries integer not null, next_at text not null, sent_at text not null, given_up_at text not null,
    error text not null) strict;
create index if not exists deliveries_waiting on deliveries(channel, id) where sent_at = '' and given_up_at = '';
"""
_WAITING = "sent_at = '' and given_up_at = ''"
_NOTICE = ("id", "key", "state", "at", "notice")
_DELIVERY = ("id", "notice", "channel", "tries", "next_at", "sent_at", "given_up_at", "error")
_NOTICE_ID, _DELIVERY_ID = checked("notices", _NOTICE, "n"), checked("deliveries", _DELIVERY, "d")


@dataclass(frozen=True)
class Delivery:
    """One notice to one channel."""

    id: int
    key: str
    state: State
    at: str
    """Of the notice: ISO 8601, UTC, as are the other times."""
    text: str
    channel: str
    tries: int
    next_at: str
    """When it is tried again; empty where it is not."""
    sent_at: str
    """Empty until the channel took it."""
    given_up_at: str
    error: str
    """Of the last try that failed."""


def tell_decision(
    spec: Spec,
    store: Store,
    text: str,
    *,
    run: str = "",
    sha256: str = "",
    report: Path | None = None,
) -> tuple[str, ...]:
    """Tell all channels what maintenance did, as a notice in the state `decided`.

    Args:
        text: In a few plain sentences.
        run: That it is about; as `sha256`, of its bundle, and `report`.

    Returns:
        Channels that could not be told yet, each with the reason. They are tried again.
    """
    folder = folder_of(store, spec.name)
    at = now()
    notice = Notice(
        _key(spec.name, "decided", at, [text, run, sha256]), "decided", spec.name, at, one_line(text), (), sha256, run,
        report, _links(spec, ()),
    )  # fmt: skip
    with History(folder).transaction() as connection:
        _post(connection, [notice], spec)
    return send_waiting(spec, store)


def post_changes(
    connection: sqlite3.Connection, changes: Changes, spec: Spec, *, run: str, sha256: str, at: str, report: Path | None
) -> None:
    """Put what opened and what resolved into the outbox, in the transaction of the incidents: a notice of each state at
    most. Incidents that go on are told again where `monitoring.remind_every` says so."""
    firing = (*changes.opened, *(one for one in changes.going_on if _to_remind(connection, one, spec, at)))
    notices = []
    over = (*changes.resolved, *changes.passed[-_PASSED:])
    groups: dict[State, Sequence[Incident]] = {"resolved": over, "firing": firing}
    # What is over comes first, so that a receiver which takes both for one trouble ends up with the one that is there.
    for state, about in groups.items():
        if about:
            key = _key(spec.name, state, at, [one.id for one in about])
            text = _text(spec.name, state, about)
            alarms = tuple(one.alarm for one in about)
            links = _links(spec, _chunks(connection, about))
            notices.append(Notice(key, state, spec.name, at, text, alarms, sha256, run, report, links))
    if firing:
        ids = json.dumps([one.id for one in firing])
        connection.execute("update incidents set told_at = ? where id in (select value from json_each(?))", (at, ids))
    _post(connection, notices, spec)


def send_waiting(spec: Spec, store: Store, *, all_of_them: bool = False) -> tuple[str, ...]:
    """Send what waits in the outbox and is due.

    Args:
        all_of_them: Also what is to be tried later.

    Returns:
        Channels that still wait for something, each with the reason.
    """
    history = _history(store, spec.name)
    if history is None:
        return ()
    channels = channels_of(spec)
    with _alone(history):
        queues = _queues(history, all_of_them)
        for channel in [channel for channel in queues if channel not in channels]:
            for delivery, _ in queues.pop(channel):
                _give_up(history, store, spec.name, delivery, "it is not among monitoring.alerts any more")
        threads = [
            threading.Thread(target=_send_queue, args=(history, store, spec, channels[channel], queue), daemon=True)
            for channel, queue in queues.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    waiting: dict[str, str] = {}
    for delivery in deliveries(store, spec.name, waiting=True):
        waiting.setdefault(delivery.channel, delivery.error)
    return tuple(f"{channel}: {error or 'it was not tried yet'}" for channel, error in waiting.items())


def show_standing(spec: Spec, store: Store, *, run: str, sha256: str) -> tuple[str, ...]:
    """Let the channels that show a state show how it is now; those that could not, each with the reason."""
    history = History(folder_of(store, spec.name))
    newest = history.chunks(sha256=sha256, last=1)
    findings = history.findings(newest)
    standing = Standing(
        spec.name,
        now(),
        sha256,
        run,
        tuple(one.alarm for one in open_incidents(store, spec.name)),
        next((Judged(c.name, c.start, c.end, c.rows, c.labelled, c.open) for c in newest), None),
        tuple(finding for chunk in newest for finding in findings[chunk.id]),
    )
    failed = {channel.label: channel.show(standing) for channel in channels_of(spec).values()}
    return tuple(f"{label}: {error}" for label, error in failed.items() if error)


def deliveries(store: Store, name: str, *, last: int | None = None, waiting: bool = False) -> list[Delivery]:
    """Notices by channel, oldest first.

    Args:
        last: Only the newest so many.
        waiting: Only those that were neither sent nor given up.
    """
    history = _history(store, name)
    if history is None:
        return []
    with history.connect() as connection:
        _prepare(connection)
        return _deliveries(connection, _WAITING if waiting else "true", last)[::-1]


def try_channels(spec: Spec) -> dict[str, str]:
    """Send a notice that says it is a test to each channel of a spec; what went wrong by channel, empty where nothing
    did. It is kept nowhere and not tried again."""
    at = now()
    text = f"{spec.name}: this is a test of the channel; nothing is wrong"
    notice = Notice(_key(spec.name, "decided", at, ["test"]), "decided", spec.name, at, text, links=_links(spec, ()))
    outcome: dict[str, str] = {}

    def test(label: str, channel: Channel) -> None:
        outcome[label] = channel.send(notice)

    channels = channels_of(spec)
    threads = [threading.Thread(target=test, args=item, daemon=True) for item in channels.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {label: outcome[label] for label in channels}


@dataclass(frozen=True)
class Channel:
    """One of `monitoring.alerts`.

    Attributes:
        label: Its plugin's name, and a number from the second of that name on.
    """

    label: str
    use: str
    options: Any

    def send(self, notice: Notice) -> str:
        """Send a notice; what went wrong, or nothing. One that hangs is left to itself after `PATIENCE_S`."""
        return self._within_patience("send", notice)

    def show(self, standing: Standing) -> str:
        """The same of how things stand, where the plugin shows that."""
        return self._within_patience("show", standing)

    def _within_patience(self, part: Literal["send", "show"], what: Notice | Standing) -> str:
        outcome: list[str] = []

        def go() -> None:
            try:
                plugin = registry.load("alerts", self.use)
                if hasattr(plugin, part):
                    getattr(plugin, part)(plugin.Options() if self.options is None else self.options, what)
                outcome.append("")
            except PizzeriaError as error:
                said = " ".join(filter(None, (error.message, error.hint and f"({error.hint})")))
                outcome.append(self._without_secrets(said))

        thread = threading.Thread(target=go, daemon=True)
        thread.start()
        thread.join(PATIENCE_S)
        return outcome[0] if outcome else _hung()

    def _without_secrets(self, text: str) -> str:
        """What a channel says goes into the ledger; the values of its secrets do not, whatever it says."""
        try:
            asked = getattr(registry.load("alerts", self.use), "secrets", None)
            names = asked(self.options) if asked is not None else ()
        except PizzeriaError:
            names = ()
        for name in names:
            if value := os.environ.get(name):
                text = text.replace(value, f"${name}")
        return text


def _hung() -> str:
    return f"it did not end within {PATIENCE_S:g} s"


def channels_of(spec: Spec) -> dict[str, Channel]:
    """The channels of a spec by their labels: `webhook`, `webhook 2`."""
    found: dict[str, Channel] = {}
    for alert in spec.monitoring.alerts:
        same = sum(channel.use == alert.use for channel in found.values())
        label = f"{alert.use} {same + 1}" if same else alert.use
        found[label] = Channel(label, alert.use, alert.options)
    return found


def one_line(text: str) -> str:
    """Without line breaks and control characters, and cut where it gets long.

    Example:
        >>> one_line("f1 fell\\nto 0.61")
        'f1 fell to 0.61'
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} ..."


def _send_queue(
    history: History, store: Store, spec: Spec, channel: Channel, queue: Sequence[tuple[Delivery, Notice]]
) -> None:
    """Send what waits for one channel in its order; up to the first that fails."""
    for delivery, notice in queue:
        error = channel.send(notice)
        if error and error != _hung():
            time.sleep(AGAIN_S)  # what fails once often works at once; what hangs does not
            error = channel.send(notice)
        if error:
            _failed(history, store, spec.name, delivery, error)
            return
        with history.connect() as connection:
            connection.execute(
                "update deliveries set tries = tries + 1, sent_at = ?, next_at = '' where id = ?", (now(), delivery.id)
            )
        detail = {
            "channel": delivery.channel,
            "key": delivery.key,
            "state": delivery.state,
            "tries": delivery.tries + 1,
        }
        Ledger(store.root).add("sent", spec.name, run=notice.run, sha256=notice.sha256, detail=detail)


def _failed(history: History, store: Store, name: str, delivery: Delivery, error: str) -> None:
    if utcnow() - datetime.fromisoformat(delivery.at) >= _GIVEN_UP_AFTER:
        _give_up(history, store, name, delivery, error)
        return
    pause = timedelta(seconds=_PAUSES_S[min(delivery.tries, len(_PAUSES_S) - 1)])
    with history.connect() as connection:
        connection.execute(
            "update deliveries set tries = tries + 1, next_at = ?, error = ? where id = ?",
            ((utcnow() + pause).isoformat(timespec="milliseconds"), error, delivery.id),
        )
    if delivery.tries == 0:  # the first failure and the last are worth a line each
        _unsent(store, name, delivery, error, given_up=False)


def _give_up(history: History, store: Store, name: str, delivery: Delivery, error: str) -> None:
    with history.connect() as connection:
        connection.execute(
            "update deliveries set tries = tries + 1, next_at = '', given_up_at = ?, error = ? where id = ?",
            (now(), error, delivery.id),
        )
    _unsent(store, name, delivery, error, given_up=True)


def _unsent(store: Store, name: str, delivery: Delivery, error: str, *, given_up: bool) -> None:
    detail = {"channel": delivery.channel, "key": delivery.key, "state": delivery.state, "error": error}
    Ledger(store.root).add("unsent", name, detail=detail | {"tries": delivery.tries + 1, "given_up": given_up})


def _queues(history: History, all_of_them: bool) -> dict[str, list[tuple[Delivery, Notice]]]:
    """What waits, by channel, where something of the channel is due."""
    queues: dict[str, list[tuple[Delivery, Notice]]] = {}
    with history.connect() as connection:
        _prepare(connection)
        waiting = _deliveries(connection, _WAITING, None)[::-1]
        due = {one.channel for one in waiting if all_of_them or one.next_at <= now()}
        for one in waiting:
            if one.channel in due:
                query = f"select {_NOTICE_ID}, notice from notices n where key = ?"  # noqa: S608 - our own words, and values are parameters
                row = connection.execute(query, (one.key,)).fetchone()
                queues.setdefault(one.channel, []).append((one, _notice(json.loads(row[1]))))
    return queues


def _deliveries(connection: sqlite3.Connection, where: str, last: int | None) -> list[Delivery]:
    """The newest first."""
    query = f"""
        select {_NOTICE_ID}, {_DELIVERY_ID}, n.key, n.state, n.at, json_extract(n.notice, '$.text'), d.channel, d.tries,
            d.next_at, d.sent_at, d.given_up_at, d.error
        from deliveries d join notices n on n.id = d.notice
        where {where} order by d.id desc limit ?
    """  # noqa: S608 - our own words, and values are parameters
    return [Delivery(*row[1:]) for row in connection.execute(query, (-1 if last is None else last,))]


def _post(connection: sqlite3.Connection, notices: Sequence[Notice], spec: Spec) -> None:
    _prepare(connection)
    for notice in notices:
        plain = asdict(notice) | {"report": None if notice.report is None else str(notice.report)}
        row = connection.execute(
            "insert into notices(key, state, at, notice) values (?, ?, ?, ?) on conflict do nothing returning id",
            (notice.key, notice.state, notice.at, json.dumps(plain)),
        ).fetchone()
        if row is not None:
            connection.executemany(
                "insert into deliveries(notice, channel, tries, next_at, sent_at, given_up_at, error) "
                "values (?, ?, 0, ?, '', '', '')",
                [(row[0], channel, notice.at) for channel in channels_of(spec)],
            )


def _notice(plain: Mapping[str, Any]) -> Notice:
    alarms = tuple(
        Alarm(**alarm | {key: tuple(alarm[key]) for key in ("causes", "examples", "usual")})
        for alarm in plain["alarms"]
    )
    report = None if plain["report"] is None else Path(plain["report"])
    return Notice(**{**plain, "alarms": alarms, "report": report})


def _text(name: str, state: State, about: Sequence[Incident]) -> str:
    """All of it in a few sentences."""
    said = []
    for incident in about[:_SAID]:
        text = one_line(incident.text).rstrip(".")
        if state == "resolved":
            said.append(f"{text}, since chunk {incident.first_chunk}: over, {incident.why}")
        else:
            causes = [cause for cause in map(one_line, incident.causes[:5]) if cause not in text]
            said.append(f"{text}; likely behind it: {', '.join(causes)}" if causes else text)
    if len(about) > _SAID:
        said.append(f"and {len(about) - _SAID} more")
    return f"{name}: {'. '.join(said)}"


def _to_remind(connection: sqlite3.Connection, incident: Incident, spec: Spec, at: str) -> bool:
    every = spec.monitoring.remind_every
    if every is None:
        return False
    (told_at,) = connection.execute("select told_at from incidents where id = ?", (incident.id,)).fetchone()
    unit = {"m": "minutes", "h": "hours", "d": "days"}[every[-1]]
    pause = timedelta(**{unit: int(every[:-1])})
    return datetime.fromisoformat(at) - datetime.fromisoformat(told_at) >= pause


def _chunks(connection: sqlite3.Connection, about: Sequence[Incident]) -> tuple[int, ...]:
    """Ids of their newest chunks in the history."""
    query = "select id from chunks where sha256 = ? and name = ?"
    found = [connection.execute(query, (one.sha256, one.chunk)).fetchone() for one in about]
    return tuple(row[0] for row in found if row is not None)


def _links(spec: Spec, chunks: Sequence[int]) -> dict[str, str]:
    pages = spec.monitoring.pages
    if pages is None:
        return {}
    chunk = {"chunk": f"{pages}/{spec.name}/chunks/{chunks[0]}"} if chunks else {}
    return {"page": f"{pages}/{spec.name}"} | chunk


def _key(name: str, state: str, at: str, about: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps([name, state, at, list(map(str, about))]).encode()).hexdigest()[:24]


def _prepare(connection: sqlite3.Connection) -> None:
    prepare(connection)
    for statement in _SCHEMA.split(";"):
        connection.execute(statement)
    keep_sums(connection, "notices", _NOTICE)
    keep_sums(connection, "deliveries", _DELIVERY)


def _history(store: Store, name: str) -> History | None:
    """The history, where there is one: a look at nothing leaves nothing behind."""
    folder = folder_of(store, name)
    return History(folder) if (folder / "history.sqlite").exists() else None


@contextmanager
def _alone(history: History) -> Iterator[None]:
    """One process at a time sends for a deployment; the kernel gives the lock back when it ends."""
    with in_turn(history.path.with_name(".sending")):
        yield
