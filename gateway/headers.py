"""Which headers travel, in each direction. Headers are not inspected, so only those travel whose meaning is known.

To the model: ``accept``, ``accept-encoding: identity``, ``content-type``, our ``user-agent``, the connection's own
credential, and of the client's headers only a request id and a trace context of the standard form. To the client:
everything but what belongs to one connection (RFC 9110 7.6.1), what speaks of the model's server, cookies, and names
that only this gateway may use.
"""

from __future__ import annotations

import re
from functools import lru_cache

from gateway.protocols import Protocol
from gateway.transport import Headers, Request

_MOST_KNOWN = 64  # heads of answers; only those that come again are a tuple, see `gateway.transport.Answer`
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TRACE_PARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

_KEPT_BACK = frozenset(
    """connection keep-alive proxy-connection te trailer transfer-encoding upgrade proxy-authenticate
    proxy-authorization proxy-authentication-info content-length set-cookie set-cookie2 server via x-powered-by
    x-aspnet-version alt-svc strict-transport-security www-authenticate location content-location
    access-control-allow-origin access-control-allow-credentials clear-site-data
    x-should-retry retry-after retry-after-ms""".split()  # noqa: SIM905 - a table of words
)
_KEPT_BACK_UNHELD = _KEPT_BACK - {"x-should-retry", "retry-after", "retry-after-ms"}


def _of_a_kind(*, stream: bool, has_body: bool) -> tuple[tuple[str, str], ...]:
    headers = [
        ("accept", "text/event-stream" if stream else "application/json"),
        ("accept-encoding", "identity"),
        ("user-agent", "holdpoint"),
    ]
    return (*headers, ("content-type", "application/json")) if has_body else tuple(headers)


_OF_A_KIND = {
    (stream, has_body): _of_a_kind(stream=stream, has_body=has_body)
    for stream in (True, False)
    for has_body in (True, False)
}


def to_model(protocol: Protocol, *, credential: str | None, stream: bool, has_body: bool) -> Headers:
    """The gateway's own headers of a request: those of its kind. The caller's credential is never among them."""
    kind = _OF_A_KIND[stream, has_body]
    return kind if credential is None else kind + protocol.credential_headers(credential)


def passed_on(request: Request) -> Headers:
    """What of the client's own headers the model gets."""
    headers: list[tuple[str, str]] = []
    request_id = request.header("x-request-id")
    if request_id is not None and _REQUEST_ID.fullmatch(request_id):
        headers.append(("x-request-id", request_id))
    trace = request.header("traceparent")
    if trace is not None and _TRACE_PARENT.fullmatch(trace):
        headers.append(("traceparent", trace))
    return headers


def to_client(headers: Headers, *, held: bool) -> list[tuple[str, str]]:
    """Those of ``headers``, in lower case, that the client gets; of a held request none that invite a retry."""
    return [*_known(headers, held)] if isinstance(headers, tuple) else _of_an_answer(headers, held=held)


@lru_cache(maxsize=_MOST_KNOWN)
def _known(headers: tuple[tuple[str, str], ...], held: bool) -> list[tuple[str, str]]:  # noqa: FBT001 - `lru_cache` is slower by name
    return _of_an_answer(headers, held=held)


def _of_an_answer(headers: Headers, *, held: bool) -> list[tuple[str, str]]:
    kept_back = _KEPT_BACK if held else _KEPT_BACK_UNHELD
    kept: list[tuple[str, str]] = []
    named: set[str] = set()
    for header in headers:
        name, value = header
        if name in kept_back:
            if name == "connection":  # it may name more of its kind
                named.update(token.strip().lower() for token in value.split(","))
        elif not name.startswith("x-holdpoint-") and value.isascii() and value.isprintable():
            kept.append(header)
    return [header for header in kept if header[0] not in named] if named else kept
