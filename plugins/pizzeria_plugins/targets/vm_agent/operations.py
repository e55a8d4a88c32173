"""What the workstation may ask for."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .conversation import MARK, Conversation, Failure, Gone
from .files import clear, locked, text_of
from .front import fill
from .probing import probe, readiness
from .record import SLOTS, Record
from .takeover import Takeover


def main() -> None:
    """One conversation."""
    conversation = Conversation(0, 1)
    os.umask(0o022)  # the service's user reads what is written here; what nobody else may read is written so
    os.write(1, MARK.encode() + b"\n")
    try:
        request = conversation.line()
        done = _OPERATIONS[request["operation"]](request, conversation)
        conversation.finish(done=done)
    except Failure as failure:
        conversation.finish(failed=failure.message, hint=failure.hint)
    except Gone:
        pass
    except OSError as error:
        conversation.finish(
            failed=f"{error}",
            hint="may this user write there? deployment.sudo=true works as root, and deployment.root=... elsewhere",
        )
    except Exception:
        conversation.finish(failed=f"the work on the machine broke off:\n{traceback.format_exc()}", hint="")


@contextlib.contextmanager
def _turn(request: dict[str, Any], conversation: Conversation) -> Iterator[Takeover]:
    settings = request["settings"]
    lock = Path(settings["deployment"]).with_name(f".{settings['name']}.lock")
    with locked(lock, conversation, lambda: conversation.say("waiting for another command that works on it")):
        conversation.check()  # after a killed command, another one may have said already what is live
        takeover = Takeover(request, conversation)
        takeover.mend()
        yield takeover


def _apply(request: dict[str, Any], conversation: Conversation) -> dict[str, Any]:
    template = request["front"]
    with _turn(request, conversation) as takeover:
        record = takeover.record
        before, slot = record.live, takeover.bring_up()
        as_wanted = fill(template, [(record.ports[slot], 1)])
        if (
            slot == before
            and record.staged is None
            and record.front == template
            and text_of(takeover.front.path) == as_wanted
        ):
            if takeover.front.says().get("sha256") != request["release"]["sha256"]:
                takeover.tell_front()
            again = True
        else:
            takeover.switch(slot, template)
            again = False
        conversation.settled = True
        record.address = request["release"]["address"]
        record.save()
        takeover.install_schedule()
        other = _other(slot)
        if other in record.slots and not again and not takeover.settings["keep_running"]:
            takeover.retire(other)
        takeover.tidy()
        detail = "was live already" if again else f"slot {slot}"
        return {"sha256": request["release"]["sha256"], "detail": detail}


def _stage(request: dict[str, Any], conversation: Conversation) -> dict[str, Any]:
    with _turn(request, conversation) as takeover:
        record = takeover.record
        if record.live is None:
            raise Failure("nothing is live yet that it could be staged beside", "deploy it without a rollout first")
        slot = takeover.bring_up()
        if slot == record.live:
            raise Failure("this very release is live already, so there is nothing to stage")
        if record.staged != slot:
            record.staged, record.percent, record.next_front = slot, 0, request["front"]
            clear(takeover.canary_log)
            _tell(takeover)
        return {"sha256": request["release"]["sha256"], "detail": f"staged in slot {slot}"}


def _shift(request: dict[str, Any], conversation: Conversation) -> dict[str, Any]:
    with _turn(request, conversation) as takeover:
        _staged(takeover)
        before = takeover.record.percent
        takeover.record.percent = int(request["percent"])
        try:
            _tell(takeover)
        except Failure:
            takeover.record.percent, takeover.record.switching = before, False
            takeover.record.save()
            raise
        return {}


def _observe(request: dict[str, Any], conversation: Conversation) -> dict[str, Any]:
    record = Record(Path(request["settings"]["deployment"]) / "state.json")
    if record.staged is None or record.live is None:
        raise Failure("nothing is staged")
    seen = {}
    log = Path(request["settings"]["deployment"]) / "canary.log"
    body = base64.b64decode(request["golden"]["body"])
    for who, slot in (("staged", record.staged), ("live", record.live)):
        address = {"host": "127.0.0.1", "port": record.ports[slot]}
        sha256 = str(readiness(address).get("sha256", ""))
        head = {**request["golden"]["headers"], **_key(log.with_name(f"slot-{slot}.secrets"), record.keys_from)}
        found = probe(address, head, body, int(request["probes"]), float(request["settings"]["answer_s"]))
        traffic = _traffic(log, record.ports[slot])
        together = {key: found[key] + traffic[key] for key in ("requests", "errors", "seconds")}
        seen[who] = {"sha256": sha256, **together}
    return seen


def _settle(request: dict[str, Any], conversation: Conversation) -> dict[str, Any]:
    with _turn(request, conversation) as takeover:
        record = takeover.record
        if record.live is None:
            raise Failure("nothing is live", "deploy it first")
        if record.staged is None:  # settled already
            return {"sha256": record.slots[record.live]["sha256"], "detail": f"slot {record.live}"}
        staged = record.staged
        if request["keep"]:
            before = str(record.live)
            takeover.switch(staged, record.next_front)
            gone = before
        else:
            record.staged, record.percent, record.next_front = None, 0, ""
            _tell(takeover)
            conversation.settled = True
            gone = staged
        clear(takeover.canary_log)
        if not (request["keep"] and takeover.settings["keep_running"]):
            takeover.retire(gone)
        slot = str(record.live)
        return {"sha256": record.slots[slot]["sha256"], "detail": f"slot {slot}"}


def _status(request: dict[str, Any], conversation: Conversation) -> dict[str, Any]:
    settings = request["settings"]
    record = Record(Path(settings["deployment"]) / "state.json")
    if record.live is None:
        return {"state": "absent"}
    takeover = Takeover(request, conversation)
    sha256, running = record.slots[record.live]["sha256"], takeover.supervisor.running(takeover.service(record.live))
    said = takeover.front.says()
    direct = said or readiness({"host": "127.0.0.1", "port": record.ports[record.live]})
    detail = [f"slot {record.live}", f"kept by {takeover.supervisor.kind}"]
    if record.staged:
        detail.append(f"{record.slots[record.staged]['sha256'][:12]} is staged with {record.percent} % of the traffic")
    found = str(said.get("sha256", ""))
    if found and (found == sha256 or record.staged):
        state = "live"
    elif not running:
        state = "dead"
        detail.append(f"{takeover.service(record.live)} does not run")
    elif direct and not said:
        state = "dead"
        detail.append("the slot answers, and nginx before it does not")
    else:
        state = "starting"
    if record.switching:
        detail.append("a command switches nginx, or was cut off while it did; the next one says again what is live")
    log = direct.get("log")
    if isinstance(log, dict):
        if log.get("trouble"):
            detail.append(f"its prediction log takes no records, {log.get('waiting', 0)} wait")
        if log.get("dropped"):
            detail.append(f"{log['dropped']} prediction records are lost since it started")
    return {"state": state, "sha256": found, "address": record.address, "detail": "; ".join(detail)}


def _remove(request: dict[str, Any], conversation: Conversation) -> dict[str, Any]:
    settings = request["settings"]
    if not Path(settings["deployment"]).is_dir():
        return {}
    with _turn(request, conversation) as takeover:
        conversation.settled = True
        record = takeover.record
        record.live, record.staged, record.switching = None, None, False
        record.save()
        takeover.front.drop()
        everything = request["schedule"]["all"][takeover.supervisor.kind]
        takeover.supervisor.remove([*everything, *(takeover.service(slot) for slot in SLOTS)])
        clear(takeover.folder)
    return {}


def _key(secrets: Path, name: str) -> dict[str, str]:
    """The header that opens a slot, which has the keys in its file of secrets."""
    text = (text_of(secrets) or "") if name else ""
    for line in text.splitlines():
        if line.startswith(f'{name}="'):
            value = re.sub(r"\\(.)", r"\1", line[len(name) + 2 : -1])
            return {"Authorization": "Bearer " + value.split(",")[0].strip()}
    return {}


def _staged(takeover: Takeover) -> str:
    if takeover.record.staged is None:
        raise Failure("nothing is staged")
    return takeover.record.staged


def _tell(takeover: Takeover) -> None:
    """Let nginx do what the record says now."""
    takeover.record.switching = True
    takeover.record.save()
    takeover.tell_front()
    takeover.record.switching = False
    takeover.record.save()


def _other(slot: str) -> str:
    return "b" if slot == "a" else "a"


def _traffic(log: Path, port: int) -> dict[str, Any]:
    """What nginx noted of one slot's answers to predictions: `address status seconds path` on each line.

    A request that was passed on to the other slot names both, and the first of them has failed it.
    """
    requests, errors, seconds = 0, 0, []
    with contextlib.suppress(OSError), open(log, encoding="utf-8", errors="replace") as stream:
        for line in stream:
            parts = line.rstrip("\n").split("\t")
            if len(parts) != 4 or parts[3] not in ("/predict", "/verify"):
                continue
            columns = [part.split(", ") for part in parts[:3]]
            for address, status, took in zip(*columns):  # noqa: B905 (older Pythons do not know strict)
                if address != f"127.0.0.1:{port}":
                    continue
                requests += 1
                errors += not status.isdigit() or int(status) >= 500
                with contextlib.suppress(ValueError):
                    seconds.append(float(took))
    return {"requests": requests, "errors": errors, "seconds": seconds}


_OPERATIONS = {
    "apply": _apply,
    "stage": _stage,
    "shift": _shift,
    "observe": _observe,
    "settle": _settle,
    "status": _status,
    "remove": _remove,
}
