"""The head of a request: what llhttp lets pass, and this server does not."""

from __future__ import annotations

from gateway.transport.request import Fields, HttpRequest

_SMALL = 64 * 1024  # bytes


class Refused(Exception):
    """What came is no request that this server takes. ``status`` says why."""

    def __init__(self, status: int) -> None:
        self.status = status


def check(request: HttpRequest, fields: Fields, *, upgrade: bool) -> None:
    """``fields`` are those of ``request``. Raises `Refused`."""
    version, target = request.version, request.target
    length, coding = fields.get("content-length"), fields.get("transfer-encoding")
    if upgrade or request.method == "CONNECT":
        raise Refused(400)
    if not target.startswith("/") or not target.isascii() or not target.isprintable():
        raise Refused(400)
    if "#" in target:
        raise Refused(400)  # a fragment is no part of a target (RFC 9112, 3.2): readers differ on where the path ends
    # What is repeated is a list.
    if length is not None and (coding is not None or not isinstance(length, str) or not _is_number(length)):
        raise Refused(400)
    if coding is not None and (not isinstance(coding, str) or coding.lower() != "chunked" or version != "1.1"):
        raise Refused(400)
    if version not in ("1.0", "1.1"):
        raise Refused(505)
    if version == "1.1" and not isinstance(fields.get("host"), str):
        raise Refused(400)
    if "expect" in fields and (request.header("expect") or "100-continue").lower() != "100-continue":
        raise Refused(417)


def comes_at_once(request: HttpRequest) -> bool:
    """Whether the body is on its way, and small: its sender does not wait to be asked for it."""
    length = request.header("content-length")
    return length is not None and len(length) <= 5 and int(length) <= _SMALL and request.header("expect") is None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
