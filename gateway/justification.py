"""What a requester says for their request, in a header of it: text for the reviewers, never for the model."""

from __future__ import annotations

from gateway.transport import Request

HEADER = "x-holdpoint-justification"
LONGEST = 2_000  # characters, as for one that is written later


def justification_of(request: Request) -> str:
    """The header's text, shortened where it is too long; empty without one.

    It is read as UTF-8, and as Latin-1 where it is none: that is what older clients send.
    """
    raw = request.header(HEADER)
    if raw is None:
        return ""
    sent = raw.encode("utf-8", "surrogateescape")
    try:
        text = sent.decode().strip()
    except UnicodeDecodeError:
        text = sent.decode("latin-1").strip()
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
