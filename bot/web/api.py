"""The review API: what a reviewer's script does instead of a click. The contract is `openapi.py`.

``Authorization: Bearer <Holdpoint key>`` on every call. Errors are ``{"error": {"code", "message", …}}``. A decision
that Redis may not have is answered with 503, never with 201 (promise 6); the same call may be repeated.
"""

from __future__ import annotations

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from bot.directory import UnknownKey
from bot.visibility import may_see
from bot.web import reading
from bot.web.documents import Document, hold_document, stats_document
from bot.web.listing import is_cursor, visible_holds
from bot.web.openapi import OPENAPI
from bot.web.site import Site, site_of
from bot.web.visitors import address_of
from holdpoint import canonical
from holdpoint.errors import BadEdit, LedgerError, MayNotDecide, NotFound, StepUpNeeded, TooLate, WrongDigest
from holdpoint.model import DecisionKind, Edit, Hold, Reviewer, Role, State
from holdpoint.stats import MOST_DAYS

_READERS = frozenset({Role.REVIEWER, Role.ADMIN, Role.AUDITOR})
_MOST = 200
_USUAL = 50
_USUAL_DAYS = 30
_KEEPS = "A key alone cannot approve this: your approval is kept for ten minutes, and does not count yet. Open"
_FIELDS = frozenset({"decision", "digest", "reason", "edits"})
_CODES = {
    400: "bad_request", 401: "unknown_key", 403: "forbidden", 404: "not_found", 405: "method_not_allowed", 408: "too_slow",
    413: "too_large", 415: "wrong_content_type", 422: "bad_body", 503: "unavailable",
}  # fmt: skip


def routes() -> list[web.RouteDef]:
    return [
        web.get("/api/v1/openapi.json", _answering(openapi), allow_head=False),
        web.get("/api/v1/holds", _answering(holds), allow_head=False),
        web.get("/api/v1/holds/{id}", _answering(hold), allow_head=False),
        web.post("/api/v1/holds/{id}/decisions", _answering(decide)),
        web.get("/api/v1/stats", _answering(stats), allow_head=False),
    ]


class ApiError(Exception):
    """An answer that is no success. ``more`` goes beside code and message."""

    def __init__(self, status: int, message: str, *, code: str = "", **more: object) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.more = status, message, code, more


async def openapi(_request: web.Request) -> web.Response:
    """The description of this API."""
    return _json(OPENAPI)


async def holds(request: web.Request) -> web.Response:
    """A page of holds that the caller may see, newest first."""
    site, reviewer = site_of(request), await _caller(request)
    query = request.query
    if unknown := sorted(set(query) - {"state", "limit", "cursor"}):
        raise ApiError(422, f"unknown parameter; known are state, limit and cursor ({len(unknown)} too many)")
    found, following = await visible_holds(
        site.store,
        lambda each: may_see(each, reviewer),
        state=_state(query.get("state")),
        limit=_number("limit", query.get("limit"), usual=_USUAL, most=_MOST),
        cursor=_cursor(query.get("cursor")),
    )
    return _json({"holds": [_document(site, each) for each in found], "next": following})


async def hold(request: web.Request) -> web.Response:
    """One hold."""
    site, reviewer = site_of(request), await _caller(request)
    found = await site.store.holds.get(request.match_info["id"])
    if not may_see(found, reviewer):
        raise ApiError(403, "None of your groups may decide on this hold.", hold=found.id)
    return _json(_document(site, found))


async def decide(request: web.Request) -> web.Response:
    """Approve or reject. 201 with the hold as it is now."""
    site, reviewer = site_of(request), await _caller(request)
    if Role.REVIEWER not in reviewer.roles:
        raise ApiError(403, "This key may look at holds, but not decide: it has no reviewer role.")
    hold_id = request.match_info["id"]
    kind, digest, reason, edits = _decision(await _body(request))
    try:
        decided = await site.decider.decide(hold_id, reviewer, kind, digest=digest, reason=reason, edits=edits)
    except MayNotDecide as error:
        raise ApiError(403, str(error), code="may_not_decide", hold=hold_id) from None
    except StepUpNeeded as error:
        sentence = f"{_KEEPS} {error.url} and confirm that it is you."
        raise ApiError(403, sentence, code="confirmation_needed", hold=hold_id, confirm_url=error.url) from None
    except (TooLate, WrongDigest) as error:
        code = "already_decided" if isinstance(error, TooLate) else "another_digest"
        raise ApiError(409, str(error), code=code, **await _now(site, hold_id)) from None
    except BadEdit as error:
        raise ApiError(422, str(error), code="bad_edit", hold=hold_id) from None
    return _json(_document(site, decided), status=201)


async def stats(request: web.Request) -> web.Response:
    """The numbers of some days, from the ledger."""
    site, _ = site_of(request), await _caller(request)
    if set(request.query) - {"days"}:
        raise ApiError(422, "unknown parameter; known is days")
    days = _number("days", request.query.get("days"), usual=_USUAL_DAYS, most=MOST_DAYS)
    try:
        return _json(stats_document(await site.history.stats(days)))
    except LedgerError as error:
        raise ApiError(503, f"The ledger cannot be read: {error}.") from None


def error_response(status: int, message: str, *, code: str = "", **more: object) -> web.Response:
    """``{"error": {"code", "message", …}}``."""
    body = {"error": {"code": code or _CODES.get(status, "error"), "message": message, **more}}
    headers = {"WWW-Authenticate": 'Bearer realm="holdpoint"'} if status == 401 else {}
    return web.Response(body=orjson.dumps(body), status=status, headers=headers, content_type="application/json")


def _answering(handler: Handler) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except ApiError as error:
            return error_response(error.status, error.message, code=error.code, **error.more)
        except NotFound:
            return error_response(404, "There is no such hold.")

    return answer


async def _caller(request: web.Request) -> Reviewer:
    """Who holds the bearer key, if it may read."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise ApiError(401, "Send a reviewer's Holdpoint key: Authorization: Bearer hp_…")
    try:
        reviewer = await site_of(request).directory.by_key(key.strip(), channel="api", address=address_of(request))
    except UnknownKey:
        raise ApiError(401, "This key is unknown, revoked or expired.") from None
    if not _READERS & reviewer.roles:
        raise ApiError(403, "This key may send requests, but not review them: it has no reviewer role.")
    return reviewer


async def _body(request: web.Request) -> Document:
    if request.content_type != "application/json":
        raise ApiError(415, "Send Content-Type: application/json.")
    try:
        value = canonical.parse(await reading.body(request))
    except canonical.NotCanonical as error:
        raise ApiError(422, f"The body is not one JSON value: {error}") from None
    if not isinstance(value, dict):
        raise ApiError(422, "The body has to be an object.")
    return value


def _decision(body: Document) -> tuple[DecisionKind, str, str, list[Edit]]:
    if not body.keys() <= _FIELDS:
        raise ApiError(422, "Known fields are decision, digest, reason and edits.")
    kind, digest, reason, edits = (body.get(name) for name in ("decision", "digest", "reason", "edits"))
    if kind not in ("approve", "reject"):
        raise ApiError(422, "decision: 'approve' or 'reject'.")
    if not isinstance(digest, str) or not digest:
        raise ApiError(422, "digest: the digest of the hold as you saw it.")
    if reason is not None and not isinstance(reason, str):
        raise ApiError(422, "reason: a text.")
    if edits is not None and not isinstance(edits, list):
        raise ApiError(422, "edits: a list of {part, text}.")
    return DecisionKind(kind), digest, reason or "", [_edit(edit) for edit in edits or ()]


def _edit(value: object) -> Edit:
    match value:
        case {"part": str(part), "text": str(text)} if len(value) == 2:  # type: ignore[arg-type]  # a mapping, by the pattern
            return Edit(part, text)
        case _:
            raise ApiError(422, "edits: each has exactly part and text, both texts.")


def _state(text: str | None) -> State | None:
    try:
        return State(text) if text is not None else None
    except ValueError:
        raise ApiError(422, f"state: one of {', '.join(State)}.") from None


def _number(name: str, text: str | None, *, usual: int, most: int) -> int:
    if text is None:
        return usual
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= most):
        raise ApiError(422, f"{name}: a number from 1 to {most}.")
    return int(text)


def _cursor(text: str | None) -> str | None:
    if text is not None and not is_cursor(text):
        raise ApiError(422, "cursor: what `next` of the former page said.")
    return text


async def _now(site: Site, hold_id: str) -> Document:
    """Who and what, for a 409."""
    current: Hold = await site.store.holds.get(hold_id)
    last = current.decisions[-1] if current.decisions else None
    return {
        "hold": hold_id,
        "state": current.state.value,
        "digest": current.digest,
        "by": last.by if last else None,
        "decision": last.kind.value if last else None,
    }


def _document(site: Site, found: Hold) -> Document:
    masks = site.live.snapshot.policy.masks
    return hold_document(found, now_ms=site.clock(), link_base=site.settings.link_base, masks=masks)


def _json(value: Document, *, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")
