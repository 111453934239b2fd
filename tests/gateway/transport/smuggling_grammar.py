"""Requests that nobody wrote down: a grammar of HTTP/1 as servers have read it, and mutations of what it makes.

::

    attempts = (request line, fields, framing, body){1,3}, then up to three mutations anywhere in the bytes
"""

from __future__ import annotations

from hypothesis import strategies as st

from tests.gateway.transport.smuggling_corpus import BODY, CHAT, HIDDEN, KEY

_USUALLY = 40  # times for every odd one
_SPACES = [b" ", b"\t", b"  ", b"", b"\x0b", b"\x0c", b"\xa0", b"\r\n ", b"\x00"]
_ENDS = [b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r"]
_SIZES = [b"%d", b"0%d", b"+%d", b"%d ", b"%d,%d", b"%d, 0", b"0x%x", b'"%d"', b"%d\x0b", b"-%d", b"%d\r\n %d"]
_CODINGS = [
    b"chunked", b"Chunked", b"identity", b"gzip", b"gzip, chunked", b"chunked, chunked", b"chunked;a", b"xchunked", b"\x0bchunked",
    b"chunked,", b'"chunked"', b"",
]  # fmt: skip
_TOKENS = [
    b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b"\x00", b"\x0b", b"\x7f", b"\xff", b":", b",", b";", b"#", b"?", b"0", b"f",
    b"0\r\n\r\n", b"\r\n ", b"Content-Length: 4\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"Host: y\r\n", HIDDEN,
]  # fmt: skip


def _mostly(usual: bytes, others: list[bytes]) -> st.SearchStrategy[bytes]:
    """``usual`` most of the time: a request with everything odd is refused for the first oddity alone."""
    return st.sampled_from([usual] * (_USUALLY * len(others)) + others)


@st.composite
def _line(draw: st.DrawFn) -> bytes:
    method = draw(st.sampled_from([b"POST", b"POST", b"POST", b"GET", b"PUT", b"HEAD", b"DELETE", b"OPTIONS"]))
    targets = [
        b"/demo/v1/models",
        b"/demo//v1",
        b"/a?b=c#d",
        b"/a%0d%0ab",
        b"http://x/demo/v1/models",
        b"*",
        b"x:80",
        b"//x/",
    ]
    target = draw(_mostly(CHAT, targets))
    version = draw(_mostly(b"HTTP/1.1", [b"HTTP/1.0", b"HTTP/0.9", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1", b""]))
    return method + draw(_mostly(b" ", _SPACES)) + target + draw(_mostly(b" ", _SPACES)) + version


@st.composite
def _field(draw: st.DrawFn, name: bytes, value: bytes) -> bytes:
    spelt = draw(st.sampled_from([name, name, name, name.lower(), name.upper(), name.replace(b"-", b"_")]))
    before, after = draw(_mostly(b"", _SPACES)), draw(_mostly(b"", _SPACES))
    return spelt + before + b":" + draw(_mostly(b" ", _SPACES)) + value + after


@st.composite
def _chunks(draw: st.DrawFn, body: bytes) -> bytes:
    cut = draw(st.integers(0, len(body)))
    raw = b""
    for piece in (body[:cut], body[cut:]):
        if piece:
            off = draw(
                _mostly(
                    b"%x" % len(piece),
                    [b"%X" % len(piece), b"0%x" % len(piece), b"%x" % (len(piece) + 1), b"0x%x" % len(piece)],
                )
            )
            extension = draw(_mostly(b"", [b";a", b";a=b", b';a="b"', b" ;a", b";\x00", b";a\n"]))
            raw += off + extension + draw(_mostly(b"\r\n", _ENDS)) + piece + draw(_mostly(b"\r\n", _ENDS))
    trailer = draw(_mostly(b"", [b"X-A: b\r\n", b"X-A : b\r\n", b"nonsense\r\n", b"Transfer-Encoding: chunked\r\n"]))
    return raw + b"0" + draw(_mostly(b"\r\n", _ENDS)) + trailer + draw(_mostly(b"\r\n", _ENDS))


@st.composite
def _request(draw: st.DrawFn) -> bytes:
    body = draw(st.sampled_from([BODY, BODY, HIDDEN, b"", b"0\r\n\r\n" + HIDDEN]))
    fields = [
        draw(_field(b"Host", b"x")),
        draw(_field(b"Authorization", b"Bearer " + KEY)),
        b"Content-Type: application/json",
    ]
    framing = draw(st.sampled_from(["length", "length", "chunks", "chunks", "both", "neither"]))
    if framing in ("length", "both"):
        size = draw(_mostly(_SIZES[0], _SIZES))
        value = size % ((len(body),) * size.count(b"%"))
        fields.append(draw(_field(b"Content-Length", value)))
    if framing in ("chunks", "both"):
        fields.append(draw(_field(b"Transfer-Encoding", draw(_mostly(_CODINGS[0], _CODINGS)))))
    more = [
        b"Connection: keep-alive",
        b"Connection: close",
        b"Expect: 100-continue",
        b"Upgrade: h2c",
        b"X-A: b\r\n c",
        b"X-A: b",
        b"X-A: \xe4",
    ]
    fields += draw(st.lists(st.sampled_from(more), max_size=2))
    lines = [draw(_line()), *draw(st.permutations(fields)), b""]
    raw = b"".join(line + draw(_mostly(b"\r\n", _ENDS)) for line in lines)
    return raw + (draw(_chunks(body)) if framing in ("chunks", "both") else b"" if framing == "neither" else body)


@st.composite
def attempts(draw: st.DrawFn) -> bytes:
    """One to three requests in a row, damaged in up to three places."""
    raw = b"".join(draw(st.lists(_request(), min_size=1, max_size=3)))
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 3]))):
        at = draw(st.integers(0, len(raw)))
        gone = draw(st.sampled_from([0, 0, 1, 2]))
        raw = raw[:at] + draw(st.sampled_from(_TOKENS)) + raw[at + gone :]
    return raw
