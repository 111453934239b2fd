"""The OpenAI protocol as vLLM and llama.cpp serve it: its endpoints, its error shapes, the events of its streams.

Bodies are read in `openai_query`, answers in `openai_answer`.
"""

from __future__ import annotations

import re
from typing import Any, assert_never

import orjson

from gateway.protocols.openai_answer import summarise
from gateway.protocols.openai_query import read_query
from gateway.protocols.shape import Endpoint, Summary
from holdpoint.errors import Refusal
from holdpoint.model import Query, RefusalCode

_INSPECTED = {
    f"/v1/{name}": Endpoint(name, f"/v1/{name}", "POST", inspected=True)
    for name in ("chat/completions", "completions", "responses", "embeddings")
}
_MODELS = Endpoint("models", "/v1/models", "GET", inspected=False)
# Model names have slashes and colons, written plainly or percent-encoded; nothing else is, so no path can hide in them.
_ONE_MODEL = re.compile(r"/v1/models/(?!/)(?:[A-Za-z0-9._:@-]|%2[Ff]|%3[Aa]|%40|/(?!/|$))+")

# However a response ends, this is the last that is said of it; without a line of its own it is somebody's text.
_LAST_EVENT = re.compile(rb"^event: ?response\.(?:completed|incomplete|failed)\b", re.MULTILINE)


class OpenAI:
    """See `gateway.protocols.Protocol`."""

    def endpoint(self, method: str, path: str) -> Endpoint:
        found = _INSPECTED.get(path)
        if found is None:
            found = _models_endpoint(path)
        if found is None:
            raise Refusal(
                RefusalCode.UNINSPECTABLE, "This gateway does not know this path, so it is not forwarded.", status=404
            )
        # HEAD is GET without the answer's body (RFC 9110, 9.3.2). The model is asked with GET: many servers know no HEAD.
        if method != found.method and (method, found.method) != ("HEAD", "GET"):
            allow = "GET, HEAD" if found.method == "GET" else found.method
            raise Refusal(RefusalCode.UNINSPECTABLE, f"Use {found.method} here.", status=405, param=allow)
        return found

    def parse(self, connection: str, endpoint: Endpoint, raw: bytes) -> Query:
        return read_query(connection, endpoint.name, raw)

    def credential_headers(self, credential: str) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {credential}"),)

    def refusal_body(self, refusal: Refusal) -> bytes:
        return orjson.dumps({"error": _error(refusal)})

    def stream_error(self, endpoint: Endpoint | None, refusal: Refusal) -> bytes:
        return _event(endpoint, _error(refusal))

    def translate_error(self, endpoint: Endpoint, status: int, raw: bytes) -> bytes:
        error: dict[str, Any] = {
            "message": f"The model answered with status {status}.",
            "type": "upstream_error",
            "param": None,
            "code": str(status),
        }
        try:
            own = orjson.loads(raw)
        except orjson.JSONDecodeError:
            own = None
        if isinstance(own, dict) and isinstance(own.get("error"), dict):
            error |= own["error"]
        return _event(endpoint, error)

    def is_last_piece(self, piece: bytes) -> bool:
        tail = piece[-64:].rstrip()
        return tail.endswith(b"[DONE]") or (b"event:" in piece and _LAST_EVENT.search(piece) is not None)

    def summarise(self, content_type: str, raw: bytes) -> Summary:
        return summarise(content_type, raw)


def _models_endpoint(path: str) -> Endpoint | None:
    if path == _MODELS.target:
        return _MODELS
    if len(path) <= 300 and ".." not in path and _ONE_MODEL.fullmatch(path):
        return Endpoint("models", path, "GET", inspected=False)
    return None


def _error(refusal: Refusal) -> dict[str, Any]:
    error: dict[str, Any] = {
        "message": refusal.reason,
        "type": _type(refusal.code),
        "param": None,
        "code": refusal.code.value,
    }
    if refusal.hold is not None:
        error["hold"] = refusal.hold
    return error


def _event(endpoint: Endpoint | None, error: dict[str, Any]) -> bytes:
    """An error as one event. The Responses API has events with a type of their own, everything else bare data."""
    if endpoint is not None and endpoint.name == "responses":
        event = {"type": "error", "sequence_number": 0, **error}
        event["type"] = "error"
        return b"event: error\ndata: " + orjson.dumps(event) + b"\n\n"
    return b"data: " + orjson.dumps({"error": error}) + b"\n\n"


def _type(code: RefusalCode) -> str:
    """The provider's word for the kind of error; one for each of ours that SDKs show."""
    match code:
        case RefusalCode.BLOCKED:
            return "request_blocked"
        case RefusalCode.REJECTED:
            return "request_rejected"
        case RefusalCode.EXPIRED:
            return "request_expired"
        case RefusalCode.CANCELLED:
            return "request_cancelled"
        case RefusalCode.RATE_LIMITED:
            return "rate_limit_error"
        case RefusalCode.UNAVAILABLE:
            return "server_error"
        case RefusalCode.UNINSPECTABLE | RefusalCode.INVALID_API_KEY | RefusalCode.NOT_FOUND | RefusalCode.CONFLICT:
            return "invalid_request_error"
        case _:
            assert_never(code)
