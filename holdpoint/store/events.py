"""What an event says: the one place that builds its ``data`` (JSON), so that cards, ledger and tests agree.

Events of a hold are put together by the scripts from the stored hold (``hold``, ``rev``, ``state``, ``digest``,
``requester``, ``connection``) and the *extra* members that the functions here return, each with a comma in front.
Events without a hold are whole objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from holdpoint.absence import Absence
from holdpoint.linked import Link
from holdpoint.model import (
    Claim,
    Confirming,
    Decision,
    Evaluation,
    EventKind,
    KeyRecord,
    Outcome,
    Query,
    Question,
    Requester,
)
from holdpoint.standing import BrokenGlass, Change, Grant
from holdpoint.store.codec import Draft, to_json
from holdpoint.store.repeated import Repeated

if TYPE_CHECKING:
    from holdpoint.store.sessions import Session  # sessions.py writes these events


_requesters: Repeated[Requester] = Repeated()  # the same objects for as long as keys and policy do not change
_clean: Repeated[Evaluation] = Repeated(100)  # one of each policy


class Entry(NamedTuple):
    """One event that is about to be appended. ``stream`` is "events" or "traffic"; ``data`` is a JSON object."""

    stream: str
    kind: EventKind
    subject: str
    at_ms: int
    data: bytes


def _members(values: Mapping[str, Any]) -> bytes:
    """``,"a":1,"b":2`` or nothing."""
    return b"," + to_json(values)[1:-1] if values else b""


def hold_created(draft: Draft, *, deadline_ms: int) -> bytes:
    """Everything that was inspected: the record of the request itself."""
    query = draft.query
    return _members(
        {
            "address": draft.address,
            "environment": draft.environment,
            "method": draft.method,
            "target": draft.target,
            "original_digest": draft.digest,
            "model": query.model,
            "stream": query.stream,
            "uninspectable": query.uninspectable,
            "evaluation": draft.evaluation,
            "deadline_ms": deadline_ms,
            "asynchronous": draft.asynchronous,
            "justification": draft.justification,
            "body": orjson.Fragment(query.body),
        }
    )


def decided(decision: Decision, body: bytes | None) -> bytes:
    """A decision; with the body that would be forwarded now when it carries edits."""
    extra: dict[str, Any] = {"decision": decision}
    if body is not None:
        extra["body"] = orjson.Fragment(body)
    return _members(extra)


def escalated(group: str, *, deadline_ms: int) -> bytes:
    return _members({"group": group, "deadline_ms": deadline_ms})


def claimed(claim: Claim) -> bytes:
    return _members({"claim": claim})


def unclaimed(claim: Claim | None, *, by: str) -> bytes:
    """``claim`` is the one that is over; ``by`` is "policy" when it has lapsed."""
    return _members({"claim": claim, "by": by})


def confirming(confirming: Confirming, *, channel: str, digest: str, edits: Sequence[str]) -> bytes:
    """An approval from ``channel`` that does not count yet: of the text with ``digest``, with ``edits`` (paths)."""
    return _members({"confirming": confirming, "channel": channel, "shown": digest, "edits": edits})


def unconfirmed(lapsed: Sequence[Confirming]) -> bytes:
    return _members({"lapsed": lapsed})


def asked(question: Question, *, pauses: bool) -> bytes:
    """``pauses``: the clock stands until the answer."""
    return _members({"question": question, "pauses": pauses})


def answered(question: Question, *, deadline_ms: int) -> bytes:
    """The question with its answer, and the deadline that follows."""
    return _members({"question": question, "deadline_ms": deadline_ms})


def resumed(*, deadline_ms: int, paused_for_ms: int) -> bytes:
    return _members({"deadline_ms": deadline_ms, "paused_for_ms": paused_for_ms})


def justified(text: str, *, by: str) -> bytes:
    return _members({"justification": text, "by": by})


def reminded(*, deadline_ms: int) -> bytes:
    return _members({"deadline_ms": deadline_ms})


def told(channel: str, *, reached: bool) -> bytes:
    """Whether the requester could be told of the hold in ``channel`` ("teams")."""
    return _members({"channel": channel, "reached": reached})


def ended(*, by: str, reason: str) -> bytes:
    return _members({"by": by, "reason": reason})


def closed(outcome: Outcome) -> bytes:
    return _members({"outcome": outcome})


def request_entry(
    kind: EventKind,
    *,
    request: str,
    at_ms: int,
    requester: Requester,
    connection: str,
    environment: str,
    address: str,
    method: str,
    target: str,
    digest: str,
    query: Query | None,
    evaluation: Evaluation | None,
    reason: str = "",
    grant: str = "",
    hold: str = "",
    limit: str = "",
    times: int = 1,
) -> Entry:
    """``request.allowed``, ``request.blocked`` or ``request.refused``. ``query`` is None for what was not understood.

    ``grant`` is the one that let it pass, empty where the policy itself did; ``hold`` the hold that it came back to;
    ``limit`` the limit that refused it, and ``times`` requests like it.
    """
    data: dict[str, Any] = {
        "request": request,
        "requester": _requesters.json(requester),
        "connection": connection,
        "environment": environment,
        "address": address,
        "method": method,
        "target": target,
        "digest": digest,
        "evaluation": _clean.json(evaluation) if evaluation is not None and _is_clean(evaluation) else evaluation,
        "reason": reason,
    }
    if grant:
        data["grant"] = grant
    if hold:
        data["hold"] = hold
    if limit:
        data["limit"], data["times"] = limit, times
    if query is not None:
        data["model"] = query.model
        data["stream"] = query.stream
        data["body"] = orjson.Fragment(query.body) if query.body else None
    return Entry("traffic", kind, request, at_ms, to_json(data))


def request_completed(*, request: str, at_ms: int, requester: Requester, connection: str, outcome: Outcome) -> Entry:
    data = {
        "request": request,
        "requester": _requesters.json(requester),
        "connection": connection,
        "outcome": {  # a mapping, because the encoder needs five times as long for the object
            "status": outcome.status,
            "digest": outcome.digest,
            "text": outcome.text,
            "prompt_tokens": outcome.prompt_tokens,
            "completion_tokens": outcome.completion_tokens,
            "duration_ms": outcome.duration_ms,
            "size_bytes": outcome.size_bytes,
            "error": outcome.error,
        },
    }
    return Entry("traffic", EventKind.REQUEST_COMPLETED, request, at_ms, to_json(data))


def _is_clean(evaluation: Evaluation) -> bool:
    """Whether it says nothing of the query itself: then the policy has one such object for all."""
    return not (evaluation.hits or evaluation.edits or evaluation.shadows)


def card_shown(*, hold: str, rev: int, target: str, digest: str, view: str, at_ms: int) -> Entry:
    """``view`` is what the card showed, as plain text, masks applied; ``digest`` the text that it stood for."""
    data = {"hold": hold, "rev": rev, "target": target, "digest": digest, "view": view}
    return Entry("events", EventKind.CARD_SHOWN, hold, at_ms, to_json(data))


def card_read(hold: str, *, by: str, digest: str, channel: str) -> bytes:
    """``by`` has paged through everything that has ``digest``."""
    return to_json({"hold": hold, "by": by, "digest": digest, "channel": channel})


def card_revealed(hold: str, *, by: str, digest: str, channel: str, at_ms: int) -> Entry:
    """``by`` saw what the policy masks in the text that has ``digest``."""
    data = {"hold": hold, "by": by, "digest": digest, "channel": channel}
    return Entry("events", EventKind.CARD_REVEALED, hold, at_ms, to_json(data))


def policy_pushed(*, by: str, note: str, text: str, after: int) -> bytes:
    return to_json({"version": after + 1, "by": by, "note": note, "text": text})


def key_changed(record: KeyRecord, *, by: str) -> bytes:
    """Without the digest: a record needs to say which key, not to help in guessing it."""
    return to_json(
        {
            "key": record.id,
            "by": by,
            "principal": record.principal,
            "groups": record.groups,
            "roles": record.roles,
            "owner": record.owner,
            "expires_ms": record.expires_ms,
            "revoked_ms": record.revoked_ms,
            "connections": record.connections,
            "networks": record.networks,
            "replaces": record.replaces,
            "replaced_by": record.replaced_by,
        }
    )


def grant_made(grant: Grant) -> bytes:
    return to_json({"grant": grant, "by": grant.by})


def grant_revoked(grant: Grant) -> bytes:
    return to_json({"grant": grant.id, "by": grant.revoked_by, "hold": grant.hold})


def grant_use(*, request: str, requester: Requester, connection: str, digest: str, rules: Sequence[str]) -> bytes:
    """The members that follow the number of the use, which the script knows."""
    return _members(
        {"request": request, "requester": requester, "connection": connection, "digest": digest, "rules": rules}
    )


def traffic_resumed(connection: str, *, by: str) -> bytes:
    return to_json({"connection": connection, "by": by})


def absence_began(absence: Absence) -> bytes:
    """All of it: from now on the delegate may decide what the absent person may."""
    return to_json(absence)


def absence_ended(absence: Absence, *, by: str) -> bytes:
    """``by`` is "policy" where the time was over."""
    return to_json({"principal": absence.principal, "delegate": absence.delegate, "by": by})


def glass_reviewed(glass: BrokenGlass) -> bytes:
    return to_json({"hold": glass.hold, "by": glass.reviewed_by, "broken_by": glass.by, "reason": glass.reason})


def route_changed(*, group: str, channel: str, by: str) -> bytes:
    return to_json({"group": group, "channel": channel, "by": by})


def change_proposed(change: Change) -> bytes:
    """The whole change: of a policy, the new document."""
    return to_json(change)


def change_ended(change: Change, *, by: str) -> bytes:
    """Who confirmed or dropped it. What it was stands in its proposal and, confirmed, in the event of its effect."""
    return to_json({"change": change.id, "kind": change.kind, "proposed_by": change.by, "by": by})


def session_opened(session: Session) -> bytes:
    """Who signed in to the web inbox, how, and until when. Never with what its cookie, key or tokens are."""
    return to_json(_session(session) | {"ends_ms": session.ends_ms, "address": session.address})


def session_ended(session: Session, *, by: str, reason: str) -> bytes:
    """``by`` is who ended it, or "policy" where the right was lost. One that only ran out has no such event."""
    return to_json(_session(session) | {"by": by, "reason": reason})


def _session(session: Session) -> dict[str, Any]:
    person = session.person
    return {
        "session": session.id,
        "principal": session.principal,
        "method": person.method if person else "key",
        "issuer": person.issuer if person else "",
        "auth_ms": person.auth_ms if person else None,
    }


def app_changed(*, platform: str, place: str, name: str, scopes: Sequence[str], by: str) -> bytes:
    """An installation of the app, or its end. Never with the token."""
    return to_json({"platform": platform, "place": place, "name": name, "scopes": scopes, "by": by})


def link_changed(link: Link, *, by: str) -> bytes:
    """The link as it is after the change, or was before it was removed, and who changed it."""
    return to_json({"link": link, "by": by})


def passkey_invited(*, principal: str, by: str) -> bytes:
    """Never with the invitation's secret."""
    return to_json({"principal": principal, "by": by})


def passkey_changed(*, principal: str, credential: str, name: str, invited_by: str = "") -> bytes:
    """A passkey was added (``invited_by`` whom, or by a fresh sign-in), removed, or refused."""
    data = {"principal": principal, "credential": credential, "name": name}
    return to_json(data | {"invited_by": invited_by} if invited_by else data)
