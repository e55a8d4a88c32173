"""Actions: each is confirmed on a page of its own, and does what the command of its name does, beside the pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from pizzeria.contracts import Progress
from pizzeria.errors import NotFoundError
from pizzeria.ui.projects import Project
from pizzeria.ui.rendering import render
from pizzeria.ui.shop import Shop, shop_of

_LONGEST = 500


@dataclass(frozen=True)
class Action:
    """What can be done.

    Attributes:
        title: On the button.
        asks: The question before it is done.
        command: That does the same.
        work: Does it; returns what to tell in the end.
    """

    title: str
    asks: str
    command: str
    work: Callable[[Progress], str]


def confirm(request: Request) -> Response:
    """The question."""
    shop = shop_of(request)
    project = shop.project(request.path_params["name"])
    asked = dict(request.query_params.items())
    action = _action(shop, project, request.path_params["action"], asked)
    session = shop.access.session(request.cookies)
    return render(
        request,
        "confirm",
        project=project,
        action=action,
        asked=asked,
        name=request.path_params["action"],
        word=session.word if session else "",
        pending=project.pending if request.path_params["action"] in ("approve", "decline") else None,
        refusal="" if shop.access.actions and session else _closed(shop),
    )


async def act(request: Request) -> Response:
    """The answer to it: begins the action, and shows its page."""
    form = await request.form(max_files=0, max_fields=8)
    asked = {key: str(value)[:_LONGEST] for key, value in form.items()}
    return await run_in_threadpool(_act, request, asked)


def _act(request: Request, asked: Mapping[str, str]) -> Response:
    shop = shop_of(request)
    refusal = shop.access.may_act(shop.access.session(request.cookies), asked.get("word", ""), request.headers)
    if refusal:
        raise HTTPException(403, refusal)
    project = shop.project(request.path_params["name"])
    action = _action(shop, project, request.path_params["action"], asked)
    job = shop.jobs.start(project.name, action.title, action.work)
    return RedirectResponse(f"/{project.name}/jobs/{job.id}", status_code=303)


def job(request: Request) -> Response:
    """How far an action is; the page asks again by itself until it has ended."""
    shop = shop_of(request)
    project = shop.project(request.path_params["name"])
    found = shop.jobs.get(request.path_params["id"])
    if found is None or found.name != project.name:
        raise NotFoundError("there is no such action", hint="the ledger has what became of it: see Deployment")
    return render(request, "job", project=project, job=found, again=found.state == "at work")


def _closed(shop: Shop) -> str:
    if not shop.access.actions:
        return "This application only reads. `pizzeria ui --actions` lets you act."
    return "Open the link that `pizzeria ui --actions` printed when it started, in this browser."


def _action(shop: Shop, project: Project, name: str, asked: Mapping[str, str]) -> Action:
    if name == "rollback":
        return _rollback(shop, project, asked.get("to", ""))
    if name in ("approve", "decline"):
        return _answer(shop, project, name, asked)
    raise NotFoundError(f"there is no action {name!r}", hint="there are rollback, approve and decline")


def _rollback(shop: Shop, project: Project, to: str) -> Action:
    from pizzeria.deployments import roll_back

    made = shop.ledger.entries(project.name, ("promoted", "rolled_back"))
    target = next((entry for entry in reversed(made) if to and entry.sha256 == to), None)
    present = project.champion
    if present is None or target is None or target.sha256 == present.sha256:
        raise NotFoundError(f"{project.name} cannot go back to {to[:12]!r}", hint="see its history")

    def work(progress: Progress) -> str:
        entry = roll_back(project.name, shop.store, progress, to=target.sha256)
        return f"{project.name} is back at {entry.sha256[:12]} of run {entry.run}"

    return Action(
        "Roll back",
        f"Put {target.sha256[:12]} of {target.run} live again, and take {present.sha256[:12]} of {present.run} down?",
        f"pizzeria rollback {project.name} --to {target.sha256[:12]}",
        work,
    )


def _answer(shop: Shop, project: Project, name: str, asked: Mapping[str, str]) -> Action:
    from pizzeria.maintenance.approval import approve, decline, user

    found = project.pending
    if found is None:
        raise NotFoundError(f"no challenger of {project.name} waits for approval", hint="see its decisions")
    sha256, store, who = asked.get("sha256") or found.sha256, shop.store, f"{user()}, in pizzeria ui"
    reason = asked.get("reason", "").strip()
    if name == "approve":

        def work(progress: Progress) -> str:
            done = approve(project.name, store, progress, who=who, reason=reason, sha256=sha256)
            return f"{done.action}: {done.why}"

        asks = f"Let the challenger {sha256[:12]} of run {found.run} take over from the live bundle?"
        return Action("Approve", asks, f"pizzeria approve {project.name}", work)

    def send_away(progress: Progress) -> str:
        declined = decline(project.name, store, progress, who=who, reason=reason, sha256=sha256)
        return f"{declined.sha256[:12]} is declined; the live bundle stays"

    asks = f"Send the challenger {sha256[:12]} of run {found.run} away? The live bundle stays."
    return Action("Decline", asks, f"pizzeria approve {project.name} --decline", send_away)
