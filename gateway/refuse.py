"""The one place that writes a refusal: before an answer as status and body, inside a stream as the provider's event."""

from __future__ import annotations

from gateway.exchange import Exchange
from holdpoint.errors import Refusal
from holdpoint.model import DecisionKind, Hold, RefusalCode, State

STORE_RETRY_SECONDS = 2


async def refuse(exchange: Exchange, refusal: Refusal) -> None:
    """Tell the client. Raises `ClientGone` when nobody is there to be told."""
    exchange.hold = refusal.hold or exchange.hold
    exchange.state = refusal.state or exchange.state
    if refusal.hold is None:
        refusal.hold = exchange.hold
    if exchange.reply.started:
        await _refuse_in_stream(exchange, refusal)
        return
    body = exchange.protocol.refusal_body(refusal)
    exchange.reply.start(refusal.status, [*_headers(exchange, refusal), ("content-length", str(len(body)))])
    await exchange.reply.end(body)


async def _refuse_in_stream(exchange: Exchange, refusal: Refusal) -> None:
    """What a person or the policy said is the end of the stream; what broke must not look like one."""
    if exchange.events:
        await exchange.reply.write(exchange.protocol.stream_error(exchange.endpoint, refusal))
        if refusal.code is not RefusalCode.UNAVAILABLE:
            await exchange.reply.end()
    exchange.reply.abort()


def _headers(exchange: Exchange, refusal: Refusal) -> list[tuple[str, str]]:
    headers = [("content-type", "application/json"), *exchange.headers()]
    if not refusal.retry:
        headers.append(("x-should-retry", "false"))
    if refusal.retry_after_seconds is not None:
        headers.append(("retry-after", str(refusal.retry_after_seconds)))
    if refusal.status == 405 and refusal.param is not None:
        headers.append(("allow", refusal.param))
    if refusal.status == 401:
        headers.append(("www-authenticate", _challenge(exchange)))
    return headers


def _challenge(exchange: Exchange) -> str:
    """RFC 6750, section 3: no error is named to who sent nothing."""
    request = exchange.request
    presented = request.header("authorization") is not None or request.header("x-api-key") is not None
    return 'Bearer error="invalid_token"' if presented else "Bearer"


def unavailable(hold: str | None = None, state: State | None = None) -> Refusal:
    """The store is lost: nothing was forwarded, and the same request may be sent again."""
    reason = "The request could not be recorded or checked just now. Nothing was forwarded; send it again."
    return Refusal(
        RefusalCode.UNAVAILABLE,
        reason,
        status=503,
        retry=True,
        retry_after_seconds=STORE_RETRY_SECONDS,
        hold=hold,
        state=state,
    )


def refusal_of(hold: Hold) -> Refusal:
    """What the client of a hold is told that was not released, or whose release failed: who, and why."""
    match hold.state:
        case State.REJECTED:
            code, reason = RefusalCode.REJECTED, _rejected(hold)
        case State.EXPIRED:
            code, reason = RefusalCode.EXPIRED, _expired(hold)
        case State.CANCELLED:
            code, reason = RefusalCode.CANCELLED, _sentence("Cancelled", hold.close_reason)
        case State.FAILED:
            error = hold.outcome.error if hold.outcome is not None else hold.close_reason
            reason = _sentence("Approved and released, but the model did not answer", error)
            return Refusal(RefusalCode.UNAVAILABLE, reason, status=502, hold=hold.id, state=hold.state)
        case State.PENDING | State.APPROVED | State.RELEASED | State.COMPLETED:
            raise ValueError(f"a hold that is {hold.state} is no refusal")
    return Refusal(code, reason, hold=hold.id, state=hold.state)


def _rejected(hold: Hold) -> str:
    rejections = [decision for decision in hold.decisions if decision.kind is DecisionKind.REJECT]
    if not rejections:
        return _sentence("Rejected", hold.close_reason)
    last = rejections[-1]
    return _sentence(f"Rejected by {last.name or last.by}", last.reason)


def _expired(hold: Hold) -> str:
    """Expired is not rejected: the person may ask again."""
    approved = any(decision.kind is DecisionKind.APPROVE for decision in hold.decisions)
    if approved and hold.close_reason:
        return f"Expired: {hold.close_reason.rstrip('.')}. Nobody rejected it; you may send it again."
    return "Expired: nobody decided in time. It was not rejected; you may send it again."


def _sentence(what: str, why: str) -> str:
    return f"{what}: {why}" if why else f"{what}."
