"""Requests that two readers might read in two ways, as data: what RFC 9112 leaves open, what servers have got wrong.

::

    case = raw bytes of one attempt; the tests send it followed by `AFTER`, a request that must not be mistaken

`REFUSED` must be refused, nothing after it served, and no byte forwarded. `TAKEN` is unusual and has one meaning: it is
served, with its body and the request after it read as every strict reader reads them. Names say what is odd. The
techniques are those of the published work on request smuggling (CL.TE, TE.CL, TE.TE, CL.0, 0.CL, chunk extensions, line
endings, obs-fold, versions, targets); the words and bytes are our own.
"""

from __future__ import annotations

KEY = b"@" * 50  # stands for a Holdpoint key, which is as long, so that no length changes
CHAT = b"/demo/v1/chat/completions"
_COMMON = b"Host: x\r\nContent-Type: application/json\r\nAuthorization: Bearer " + KEY + b"\r\n"
START = b"POST " + CHAT + b" HTTP/1.1\r\n" + _COMMON
BODY = b'{"model":"m","messages":[{"role":"user","content":"first"}]}'
HIDDEN = b"GET /demo/v1/models/hidden HTTP/1.1\r\n" + _COMMON + b"\r\n"
AFTER = b"GET /demo/v1/models/after HTTP/1.1\r\n" + _COMMON + b"Connection: close\r\n\r\n"
_LENGTH = b"Content-Length: %d\r\n" % len(BODY)
_CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n"
_SIZE = b"%x" % len(BODY)
_LAST = b"0\r\n\r\n"


def _post(fields: bytes, body: bytes = BODY) -> bytes:
    return START + fields + b"\r\n" + body


def _line(line: bytes) -> bytes:
    """A request with this request line and nothing else unusual."""
    return line + b"\r\n" + _COMMON + b"\r\n"


def _chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


# Spellings of the coding beside a length: whoever does not see the coding reads the length, and the other way round.
_CODINGS = {
    "plain": b"Transfer-Encoding: chunked\r\n",
    "no space": b"Transfer-Encoding:chunked\r\n",
    "two spaces": b"Transfer-Encoding:  chunked\r\n",
    "a tab": b"Transfer-Encoding:\tchunked\r\n",
    "a space at the end": b"Transfer-Encoding: chunked \r\n",
    "a tab at the end": b"Transfer-Encoding: chunked\t\r\n",
    "capitals": b"TRANSFER-ENCODING: CHUNKED\r\n",
    "mixed case": b"tRANSFER-eNCODING: cHuNkEd\r\n",
    "a space before the colon": b"Transfer-Encoding : chunked\r\n",
    "a tab before the colon": b"Transfer-Encoding\t: chunked\r\n",
    "a vertical tab before the colon": b"Transfer-Encoding\x0b: chunked\r\n",
    "a null before the colon": b"Transfer-Encoding\x00: chunked\r\n",
    "a space before the name": b" Transfer-Encoding: chunked\r\n",
    "a tab before the name": b"\tTransfer-Encoding: chunked\r\n",
    "a null before the name": b"\x00Transfer-Encoding: chunked\r\n",
    "a vertical tab before the value": b"Transfer-Encoding: \x0bchunked\r\n",
    "a form feed before the value": b"Transfer-Encoding: \x0cchunked\r\n",
    "a null before the value": b"Transfer-Encoding: \x00chunked\r\n",
    "a backspace before the value": b"Transfer-Encoding: \x08chunked\r\n",
    "a delete before the value": b"Transfer-Encoding: \x7fchunked\r\n",
    "a next-line before the value": b"Transfer-Encoding: \x85chunked\r\n",
    "a no-break space before the value": b"Transfer-Encoding: \xa0chunked\r\n",
    "a vertical tab after the value": b"Transfer-Encoding: chunked\x0b\r\n",
    "a null after the value": b"Transfer-Encoding: chunked\x00\r\n",
    "a carriage return after the value": b"Transfer-Encoding: chunked\r\r\n",
    "quotes": b'Transfer-Encoding: "chunked"\r\n',
    "apostrophes": b"Transfer-Encoding: 'chunked'\r\n",
    "a letter before": b"Transfer-Encoding: xchunked\r\n",
    "a letter after": b"Transfer-Encoding: chunkedx\r\n",
    "cut short": b"Transfer-Encoding: chunke\r\n",
    "a long s": b"Transfer-Encoding: chun\xe2\x84\xaaed\r\n",
    "a comma before": b"Transfer-Encoding: , chunked\r\n",
    "a comma after": b"Transfer-Encoding: chunked,\r\n",
    "a parameter": b"Transfer-Encoding: chunked;q=1\r\n",
    "identity": b"Transfer-Encoding: identity\r\n",
    "identity before": b"Transfer-Encoding: identity, chunked\r\n",
    "identity after": b"Transfer-Encoding: chunked, identity\r\n",
    "gzip before": b"Transfer-Encoding: gzip, chunked\r\n",
    "twice in one": b"Transfer-Encoding: chunked, chunked\r\n",
    "twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "another first": b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n",
    "another last": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
    "empty": b"Transfer-Encoding:\r\n",
    "only a space": b"Transfer-Encoding: \r\n",
    "folded with a space": b"Transfer-Encoding:\r\n chunked\r\n",
    "folded with a tab": b"Transfer-Encoding:\r\n\tchunked\r\n",
    "folded after the value": b"Transfer-Encoding: chunked\r\n x\r\n",
    "folded with a bare line feed": b"Transfer-Encoding:\n chunked\r\n",
    "behind a bare line feed": b"X-A: a\nTransfer-Encoding: chunked\r\n",
    "behind a bare carriage return": b"X-A: a\rTransfer-Encoding: chunked\r\n",
    "behind a null": b"X-A: a\x00\r\nTransfer-Encoding: chunked\r\n",
    "a line feed before the colon": b"Transfer-Encoding\n: chunked\r\n",
    "a line ending with only a line feed": b"Transfer-Encoding: chunked\n",
    "a line ending with only a carriage return": b"Transfer-Encoding: chunked\rX-A: b\r\n",
}  # fmt: skip

_BY_CHUNKS_SHORT = _LAST + HIDDEN  # by its length it is all one body
_BY_LENGTH_SHORT = _chunk(HIDDEN) + _LAST  # by its chunks it is all one body

_BOTH = {
    f"{order}, coding with {name}": _post(fields, body)
    for name, coding in _CODINGS.items()
    for order, fields, body in (
        ("CL.TE", b"Content-Length: %d\r\n" % len(_BY_CHUNKS_SHORT) + coding, _BY_CHUNKS_SHORT),
        ("TE.CL", coding + b"Content-Length: 4\r\n", _BY_LENGTH_SHORT),
    )
}

_LENGTHS = {
    "twice, the same": b"Content-Length: 60\r\nContent-Length: 60\r\n",
    "twice, 0 first": b"Content-Length: 0\r\nContent-Length: 60\r\n",
    "twice, 0 last": b"Content-Length: 60\r\nContent-Length: 0\r\n",
    "twice, in two cases": b"Content-Length: 60\r\ncontent-length: 6\r\n",
    "a list of one value": b"Content-Length: 60, 60\r\n",
    "a list of two values": b"Content-Length: 60, 6\r\n",
    "a list with an empty entry": b"Content-Length: 60,\r\n",
    "a plus": b"Content-Length: +60\r\n",
    "a minus": b"Content-Length: -60\r\n",
    "minus nought": b"Content-Length: -0\r\n",
    "hexadecimal": b"Content-Length: 0x3c\r\n",
    "an exponent": b"Content-Length: 6e1\r\n",
    "a fraction": b"Content-Length: 60.0\r\n",
    "an underscore": b"Content-Length: 6_0\r\n",
    "a space inside": b"Content-Length: 6 0\r\n",
    "letters after": b"Content-Length: 60abc\r\n",
    "a semicolon": b"Content-Length: 60;\r\n",
    "quotes": b'Content-Length: "60"\r\n',
    "nothing": b"Content-Length:\r\n",
    "only spaces": b"Content-Length:   \r\n",
    "more than 64 bits": b"Content-Length: 18446744073709551676\r\n",
    "far too many digits": b"Content-Length: " + b"9" * 60 + b"\r\n",
    "a null after": b"Content-Length: 60\x00\r\n",
    "a vertical tab before": b"Content-Length: \x0b60\r\n",
    "a form feed after": b"Content-Length: 60\x0c\r\n",
    "Arabic digits": "Content-Length: ٦٠\r\n".encode(),
    "superscript digits": "Content-Length: ⁶⁰\r\n".encode(),
    "a space before the colon": b"Content-Length : 60\r\n",
    "folded": b"Content-Length:\r\n 60\r\n",
    "folded in the middle": b"Content-Length: 6\r\n 0\r\n",
    "behind a bare line feed": b"X-A: a\nContent-Length: 60\r\n",
    "behind a bare carriage return": b"X-A: a\rContent-Length: 60\r\n",
    "cut by a carriage return": b"Content-Length: 6\r0\r\n",
    "between tabs, which would be legal": b"Content-Length:\t60\t\r\n",
}  # fmt: skip

_CHUNKS = {
    "a size with a prefix": b"0x" + _SIZE + b"\r\n" + BODY + b"\r\n" + _LAST,
    "a size with a plus": b"+" + _SIZE + b"\r\n" + BODY + b"\r\n" + _LAST,
    "a negative size": b"-1\r\n" + BODY + b"\r\n" + _LAST,
    "a size with an underscore": b"3_c\r\n" + BODY + b"\r\n" + _LAST,
    "a size with a space before": b" " + _SIZE + b"\r\n" + BODY + b"\r\n" + _LAST,
    "a size with a tab after": _SIZE + b"\t\r\n" + BODY + b"\r\n" + _LAST,
    "a size that overflows 64 bits": b"1000000000000003c\r\n" + BODY + b"\r\n" + _LAST,
    "a size that overflows 32 bits far": b"f" * 20 + b"\r\n" + BODY + b"\r\n" + _LAST,
    "no size": b"\r\n" + BODY + b"\r\n" + _LAST,
    "no hexadecimal digit": b"g\r\n" + BODY + b"\r\n" + _LAST,
    "a null in a size": b"3\x00c\r\n" + BODY + b"\r\n" + _LAST,
    "a bare line feed after a size": _SIZE + b"\n" + BODY + b"\r\n" + _LAST,
    "a bare carriage return after a size": _SIZE + b"\r" + BODY + b"\r\n" + _LAST,
    "a bare line feed after a chunk": _SIZE + b"\r\n" + BODY + b"\n" + _LAST,
    "nothing after a chunk": _SIZE + b"\r\n" + BODY + _LAST,
    "two other bytes after a chunk": _SIZE + b"\r\n" + BODY + b"XX" + _LAST,
    "a longer chunk than its size": b"5\r\n" + BODY + b"\r\n" + _LAST,
    "a bare line feed after the last size": _chunk(BODY) + b"0\n\r\n",
    "a bare line feed at the end": _chunk(BODY) + b"0\r\n\n",
    "a bare carriage return at the end": _chunk(BODY) + b"0\r\n\rX",
    "an extension ended by a bare line feed": _SIZE + b";a\n" + BODY + b"\r\n" + _LAST,
    "an extension that hides a chunk": _SIZE + b";\n" + b"x" * 10 + b"\r\n" + BODY + b"\r\n" + _LAST,
    "an extension with a bare carriage return": _SIZE + b";a\rb\r\n" + BODY + b"\r\n" + _LAST,
    "an extension of nothing but a null": _SIZE + b";\x00\r\n" + BODY + b"\r\n" + _LAST,
    "an extension without a semicolon": _SIZE + b" a=b\r\n" + BODY + b"\r\n" + _LAST,
    "an endless extension": _SIZE + b";" + b"x" * 600_000 + b"\r\n" + BODY + b"\r\n" + _LAST,
    "an open quote in an extension": _SIZE + b';a="\r\n' + BODY + b'\r\n0;"\r\n\r\n',
    "a trailer without a colon": _chunk(BODY) + b"0\r\nnonsense\r\n\r\n",
    "a trailer with a space before the colon": _chunk(BODY) + b"0\r\nX-A : b\r\n\r\n",
    "a folded trailer": _chunk(BODY) + b"0\r\nX-A: b\r\n c\r\n\r\n",
    "a trailer with a bare line feed": _chunk(BODY) + b"0\r\nX-A: b\nX-B: c\r\n\r\n",
    "endless trailers": _chunk(BODY) + b"0\r\n" + b"X-A: bbbbbbbbbbbbbbbbbbbb\r\n" * 10_000 + b"\r\n",
    "a trailer that names a length": _chunk(BODY) + b"0\r\nContent-Length: 5\r\n\r\n",
    "a space after the last size": _chunk(BODY) + b"0 \r\n\r\n",
}  # fmt: skip

_LINES = {
    "0.9": b"GET /demo/v1/models\r\n",
    "0.9 with a version of its own": _line(b"GET /demo/v1/models HTTP/0.9"),
    "1.2": _line(b"GET /demo/v1/models HTTP/1.2"),
    "1.10": _line(b"GET /demo/v1/models HTTP/1.10"),
    "01.1": _line(b"GET /demo/v1/models HTTP/01.1"),
    "2.0": _line(b"GET /demo/v1/models HTTP/2.0"),
    "a version without a minor": _line(b"GET /demo/v1/models HTTP/1"),
    "a version in small letters": _line(b"GET /demo/v1/models http/1.1"),
    "another protocol": _line(b"GET /demo/v1/models ICE/1.0"),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a tab for a space": _line(b"GET\t/demo/v1/models HTTP/1.1"),
    "a tab before the version": _line(b"GET /demo/v1/models\tHTTP/1.1"),
    "a form feed for a space": _line(b"GET\x0c/demo/v1/models HTTP/1.1"),
    "a space in the target": _line(b"GET /demo/v1/models HTTP/1.1 HTTP/1.1"),
    "a space before the method": _line(b" GET /demo/v1/models HTTP/1.1"),
    "a space after the version": _line(b"GET /demo/v1/models HTTP/1.1 "),
    "a method in small letters": _line(b"get /demo/v1/models HTTP/1.1"),
    "an unknown method": _line(b"GETS /demo/v1/models HTTP/1.1"),
    "no method": _line(b"/demo/v1/models HTTP/1.1"),
    "no target": _line(b"GET HTTP/1.1"),
    "CONNECT": _line(b"CONNECT x:80 HTTP/1.1"),
    "an absolute target": _line(b"GET http://x/demo/v1/models HTTP/1.1"),
    "an absolute target of another host": _line(b"GET http://other/demo/v1/models HTTP/1.1"),
    "an absolute target of another scheme": _line(b"GET https://x/demo/v1/models HTTP/1.1"),
    "an absolute target with a user": _line(b"GET http://x@other/demo/v1/models HTTP/1.1"),
    "an authority for a target": _line(b"GET x:80 HTTP/1.1"),
    "an asterisk": _line(b"OPTIONS * HTTP/1.1"),
    "a target without a slash": _line(b"GET demo/v1/models HTTP/1.1"),
    "a target with a question mark first": _line(b"GET ?/demo/v1/models HTTP/1.1"),
    "a fragment": _line(b"GET /demo/v1/models#hidden HTTP/1.1"),
    "a backslash first": _line(b"GET \\demo/v1/models HTTP/1.1"),
    "a null in the target": _line(b"GET /demo/v1/models\x00 HTTP/1.1"),
    "a delete in the target": _line(b"GET /demo/v1/models\x7f HTTP/1.1"),
    "a byte above 127 in the target": _line(b"GET /demo/v1/models\xff HTTP/1.1"),
    "a bare carriage return in the line": _line(b"GET /demo/v1/models\r HTTP/1.1"),
    "a bare line feed after the line": b"GET /demo/v1/models HTTP/1.1\n" + _COMMON + b"\r\n",
    "a bare carriage return after the line": b"GET /demo/v1/models HTTP/1.1\r" + _COMMON + b"\r\n",
    "all line feeds bare": HIDDEN.replace(b"\r\n", b"\n"),
    "the last line feed bare": HIDDEN[:-2] + b"\n",
    "the end a bare carriage return": HIDDEN[:-2] + b"\rX",
    "carriage return twice": HIDDEN[:-2] + b"\r\r\n",
    "too long a target": _line(b"GET /demo/v1/models/" + b"x" * 9_000 + b" HTTP/1.1"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}  # fmt: skip

_FIELDS = {
    "no host": b"POST " + CHAT + b" HTTP/1.1\r\n" + _LENGTH + b"\r\n" + BODY,
    "two hosts": _post(b"Host: other\r\n" + _LENGTH),
    "two hosts, the same": _post(b"Host: x\r\n" + _LENGTH),
    "no name": _post(b": b\r\n" + _LENGTH),
    "no colon": _post(b"X-A\r\n" + _LENGTH),
    "a folded field": _post(b"X-A: b\r\n Content-Length: 0\r\n" + _LENGTH),
    "a field folded before the first": START.replace(b"Host", b" X-A: b\r\nHost") + _LENGTH + b"\r\n" + BODY,
    "a null in a name": _post(b"X\x00-A: b\r\n" + _LENGTH),
    "a null in a value": _post(b"X-A: b\x00c\r\n" + _LENGTH),
    "a space in a name": _post(b"X A: b\r\n" + _LENGTH),
    "a byte above 127 in a name": _post(b"X-\xe4: b\r\n" + _LENGTH),
    "a parenthesis in a name": _post(b"X(A): b\r\n" + _LENGTH),
    "a length behind a carriage return": _post(b"X-A: b\rContent-Length: 0\r\n" + _LENGTH),
    "an escape in a value": _post(b"X-A: \x1b[2J\r\n" + _LENGTH),
    "too long a field": _post(b"X-A: " + b"b" * 18_000 + b"\r\n" + _LENGTH),
    "too many fields": _post(b"X-A: b\r\n" * 200 + _LENGTH),
    "too long a head": _post(b"".join(b"X-%d: %b\r\n" % (n, b"b" * 8_000) for n in range(10)) + _LENGTH),
    "an upgrade": _post(b"Connection: upgrade\r\nUpgrade: websocket\r\n" + _LENGTH),
    "an upgrade to HTTP/2": _post(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n" + _LENGTH),
    "another expectation": _post(b"Expect: 100-continuex\r\n" + _LENGTH),
    "chunked on 1.0": START.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n" + _chunk(BODY) + _LAST,
    "gzip alone": _post(b"Transfer-Encoding: gzip\r\n"),
    "chunked and then gzip": _post(b"Transfer-Encoding: chunked, gzip\r\n", _chunk(BODY) + _LAST),
}  # fmt: skip

REFUSED: dict[str, bytes] = {
    **_BOTH,
    **{f"length: {name}": _post(field) for name, field in _LENGTHS.items()},
    **{f"chunks: {name}": _CHUNKED + raw for name, raw in _CHUNKS.items()},
    **{f"request line: {name}": raw for name, raw in _LINES.items()},
    **{f"fields: {name}": raw for name, raw in _FIELDS.items()},
}

TAKEN: dict[str, bytes] = {
    "a length": _post(_LENGTH),
    "a length with noughts before": _post(b"Content-Length: 00060\r\n"),
    "a length without a space": _post(b"Content-Length:60\r\n"),
    "a length in capitals": _post(b"CONTENT-LENGTH: 60\r\n"),
    "a length with an underscore is another field": _post(b"Content_Length: 5\r\n" + _LENGTH),
    "a coding with an underscore is another field": _post(b"Transfer_Encoding: chunked\r\n" + _LENGTH),
    "a coding with a prefix is another field": _post(b"X-Transfer-Encoding: chunked\r\n" + _LENGTH),
    "a request in a body (CL.0)": _post(b"Content-Length: %d\r\n" % len(HIDDEN), HIDDEN),
    "a request in a body of a GET (0.CL)": HIDDEN[:-2] + b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
    "a request in a chunk": _CHUNKED + _chunk(HIDDEN) + _LAST,
    "a request in a chunk of a GET": HIDDEN[:-2] + b"Transfer-Encoding: chunked\r\n\r\n" + _chunk(HIDDEN) + _LAST,
    "nought bytes": _post(b"Content-Length: 0\r\n", b""),
    "a GET of nought bytes": HIDDEN[:-2] + b"Content-Length: 0\r\n\r\n",
    "no length at all": _post(b"", b""),
    "a GET": HIDDEN,
    "three at once": _post(_LENGTH) + HIDDEN + _CHUNKED + _chunk(BODY) + _LAST,
    "one chunk": _CHUNKED + _chunk(BODY) + _LAST,
    "many chunks": _CHUNKED + b"".join(_chunk(BODY[at : at + 1]) for at in range(len(BODY))) + _LAST,
    "a coding in capitals": _post(b"TRANSFER-ENCODING: CHUNKED\r\n", _chunk(BODY) + _LAST),
    "a size in capitals with noughts": _CHUNKED + b"0000003C\r\n" + BODY + b"\r\n" + b"000\r\n\r\n",
    "an extension": _CHUNKED + _SIZE + b";a=b\r\n" + BODY + b"\r\n" + _LAST,
    "an extension in quotes": _CHUNKED + _SIZE + b';a="b c"\r\n' + BODY + b"\r\n" + _LAST,
    "a trailer": _CHUNKED + _chunk(BODY) + b"0\r\nX-A: b\r\n\r\n",
    "line feeds in a body": _post(b"Content-Length: 8\r\n", b"\n\n\r\n\r\n\r\n"),
    "an empty line before": b"\r\n" + _post(_LENGTH),
    "1.0": START.replace(b"1.1", b"1.0") + _LENGTH + b"\r\n" + BODY,
    "1.0 kept alive": START.replace(b"1.1", b"1.0") + b"Connection: keep-alive\r\n" + _LENGTH + b"\r\n" + BODY,
    "closed after it": _post(b"Connection: close\r\n" + _LENGTH),
    "the connection names the length": _post(b"Connection: Content-Length\r\n" + _LENGTH),
    "an expectation": _post(b"Expect: 100-continue\r\n" + _LENGTH),
    "a host with a port": START.replace(b"Host: x", b"Host: x:80") + _LENGTH + b"\r\n" + BODY,
    "a line break, percent-encoded, in the target": _line(b"GET /demo/v1/models%0d%0aX-A:%20b HTTP/1.1"),
    "a request, percent-encoded, in the target": _line(b"GET /demo/v1/models%20HTTP/1.1%0d%0a%0d%0aGET%20/hidden HTTP/1.1"),
    "a null, percent-encoded, in the query": _line(b"GET /demo/v1/models?a=%00 HTTP/1.1"),
    "two slashes": _line(b"GET //other/demo/v1/models HTTP/1.1"),
    "dots that lead back": _line(b"GET /demo/v1/models/../chat/completions HTTP/1.1"),
    "dots, percent-encoded, that lead back": _line(b"GET /demo/v1/models/%2e%2e/hidden HTTP/1.1"),
    "a URL in the query": _line(b"GET /demo/v1/models?u=http://other/ HTTP/1.1"),
    "a line break, percent-encoded, in a value": _post(b"X-Request-Id: a%0d%0aX-B: c\r\n" + _LENGTH),
    "a byte above 127 in a value": _post(b"X-A: \xe4\r\n" + _LENGTH),
    "an empty value": _post(b"X-A:\r\n" + _LENGTH),
    "a forged hop": _post(b"X-Forwarded-Host: other\r\nX-Original-URL: /hidden\r\nForwarded: host=other\r\n" + _LENGTH),
    "another method by a field": _post(b"X-HTTP-Method-Override: DELETE\r\n" + _LENGTH),
}  # fmt: skip
