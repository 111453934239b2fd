"""What a requester is told of a hold that is not decided: the 202, and where and when to ask again."""

from __future__ import annotations

import orjson

from gateway.exchange import Exchange
from gateway.refuse import refusal_of
from holdpoint.clock import iso
from holdpoint.model import Hold, State

COME_BACK_S = 5  # when to ask for a hold that is pending


async def accepted(exchange: Exchange, hold: Hold, headers: list[tuple[str, str]]) -> None:
    """202: the hold is not decided; where and when to ask again."""
    body = orjson.dumps(view(hold))
    exchange.reply.start(
        202,
        [
            ("content-type", "application/json"),
            ("location", f"/holds/{hold.id}"),
            ("retry-after", str(COME_BACK_S)),
            *headers,
            *exchange.headers(),
            ("content-length", str(len(body))),
        ],
    )
    await exchange.reply.end(body)


def view(hold: Hold) -> dict[str, object]:
    """What the requester is told of a hold. Times are ISO 8601 in UTC."""
    found: dict[str, object] = {
        "id": hold.id,
        "object": "holdpoint.hold",
        "state": hold.state.value,
        "created_at": iso(hold.created_ms),
        "deadline": iso(hold.deadline_ms),
        "connection": hold.connection,
        "model": hold.query.model,
        "digest": hold.digest,
    }
    if hold.state in (State.REJECTED, State.EXPIRED, State.CANCELLED, State.FAILED):
        found["reason"] = refusal_of(hold).reason
    elif hold.evaluation.reason:
        found["reason"] = hold.evaluation.reason
    return found
