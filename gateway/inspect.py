"""Whether a body can be read at all: its headers are looked at before its first byte."""

from __future__ import annotations

from gateway.exchange import Exchange
from gateway.transport import BodyBroken, BodyTooLarge, BodyTooSlow, Request
from holdpoint.errors import Refusal
from holdpoint.model import RefusalCode
from holdpoint.settings import Settings


def arrived_body(exchange: Exchange, settings: Settings) -> bytes | None:
    """`read_body` for a body that has arrived: it does not wait. Raises as it does. Nobody can read the body after it."""
    request = exchange.request
    _check_framing(request)
    raw = request.take_arrived()
    if not exchange.endpoint.inspected:
        if raw:
            raise _not_empty()
        return None
    _check_type(request)
    if len(raw) > settings.max_body_bytes:
        raise _too_large(settings)
    return raw


def known_body(exchange: Exchange, settings: Settings) -> bytes:
    """`arrived_body` behind a head that has passed it before."""
    raw = exchange.request.take_arrived()
    if len(raw) > settings.max_body_bytes:
        raise _too_large(settings)
    return raw


async def read_body(exchange: Exchange, settings: Settings) -> bytes | None:
    """The body as it was sent; None for an endpoint that has none.

    Raises:
        Refusal: 400, 408, 413 or 415, in the provider's shape.
        ClientGone: nothing is left of the request.
    """
    request = exchange.request
    _check_framing(request)
    if not exchange.endpoint.inspected:
        await _check_empty(request, settings)
        return None
    _check_type(request)
    try:
        return await request.body(settings.max_body_bytes, settings.body_timeout_s)
    except BodyTooLarge:
        raise _too_large(settings) from None
    except BodyTooSlow:
        raise _no(f"No piece of the body came for {settings.body_timeout_s:g} seconds.", 408) from None
    except BodyBroken:
        raise _no("The framing of the body is wrong.", 400) from None


def query_string() -> Refusal:
    """No endpoint has parameters in its path, so nobody knows what they would mean to the model's server."""
    return _no("Query strings are not forwarded here; send the request without one.", 400)


def unmodifiable() -> Refusal:
    """The policy wants to replace what is no string value (a key of an object, say)."""
    return Refusal(RefusalCode.BLOCKED, "Blocked: the policy replaces a text that cannot be replaced.")


def _check_framing(request: Request) -> None:
    """A body of two lengths is one for the gateway and another for the model."""
    if request.header("transfer-encoding") is not None and request.header("content-length") is not None:
        raise _no("The request has both Content-Length and Transfer-Encoding.", 400)
    if len(request.headers("content-length")) > 1:
        raise _no("The request has more than one Content-Length.", 400)


def _check_type(request: Request) -> None:
    encoding = request.headers("content-encoding")
    if encoding and {item.strip().lower() for item in ",".join(encoding).split(",")} - {"", "identity"}:
        raise _no("Compressed bodies are not read here; send it as it is.", 415)
    types = request.headers("content-type")
    if types == ["application/json"]:
        return
    if len(types) != 1:
        raise _no("Content-Type must be application/json.", 415)
    kind, _, parameters = types[0].partition(";")
    charset = parameters.strip().lower()
    if kind.strip().lower() != "application/json" or charset not in ("", "charset=utf-8", 'charset="utf-8"'):
        raise _no("Content-Type must be application/json, in UTF-8.", 415)


async def _check_empty(request: Request, settings: Settings) -> None:
    try:
        await request.body(0, settings.body_timeout_s)
    except (BodyTooLarge, BodyTooSlow, BodyBroken):
        raise _not_empty() from None


def _too_large(settings: Settings) -> Refusal:
    return _no(f"The body is larger than {settings.max_body_bytes} bytes.", 413)


def _not_empty() -> Refusal:
    return _no("This request takes no body.", 400)


def _no(reason: str, status: int) -> Refusal:
    return Refusal(RefusalCode.UNINSPECTABLE, reason, status=status)
