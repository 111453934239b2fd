"""The fast upstream: answers every request at once with the same bytes, keep-alive, on a bare asyncio protocol.

::

    python -m tests.bench.upstream PORT        a process of its own
    await serve(port, arrived)                 in this process; `arrived(body)` sees each body as it comes

600 bytes of JSON in the shape of a chat completion; for a body with ``"stream":true`` 50 events of about 150 bytes. The
model `SLOW` sends these one by one, every 10 ms.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Callable
from typing import cast

import uvloop

from tests.bench.machine import allow_many_files

EVENTS = 50
SLOW = "bench-slow"
_EVERY_S = 0.01
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_STREAM = re.compile(rb'"stream": ?true')
_TEXT = "A hold point is a step past which work may not go on until somebody with the authority has signed. " * 3

Arrived = Callable[[bytes], None]


def _completion() -> bytes:
    body = {
        "id": "chatcmpl-bench", "object": "chat.completion", "created": 1_700_000_000, "model": "bench",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": _TEXT}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 500, "completion_tokens": 60, "total_tokens": 560},
    }  # fmt: skip
    raw = json.dumps(body, separators=(",", ":")).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw


def _stream() -> list[bytes]:
    """Head and first event, each other event, and the end."""
    event = {
        "id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "bench",
        "choices": [{"index": 0, "delta": {"content": " word"}, "finish_reason": None}],
    }  # fmt: skip
    piece = b"data: " + json.dumps(event).encode() + b"\n\n"
    pieces = [piece] * EVENTS + [b"data: [DONE]\n\n"]
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    first, *others = (b"%x\r\n%s\r\n" % (len(each), each) for each in pieces)
    return [head + first, *others[:-1], others[-1] + b"0\r\n\r\n"]


COMPLETION = _completion()
_EVENTS = _stream()
STREAM = b"".join(_EVENTS)


class _Upstream(asyncio.Protocol):
    """One connection; takes requests with a Content-Length, pipelined or not."""

    def __init__(self, arrived: Arrived | None) -> None:
        self._arrived = arrived
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer = buffer = self._buffer + data if self._buffer else data
        while (end := buffer.find(b"\r\n\r\n")) >= 0:
            found = _LENGTH.search(buffer, 0, end + 2)
            size = end + 4 + (int(found[1]) if found else 0)
            if len(buffer) < size:
                break
            body, buffer = buffer[end + 4 : size], buffer[size:]
            if self._arrived is not None:
                self._arrived(body)
            assert self._transport is not None
            if SLOW.encode() in body:
                self._send_slowly(0)
            else:
                self._transport.write(STREAM if _STREAM.search(body) else COMPLETION)
        self._buffer = buffer

    def _send_slowly(self, number: int) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_EVENTS[number])
            if number + 1 < len(_EVENTS):
                asyncio.get_running_loop().call_later(_EVERY_S, self._send_slowly, number + 1)


async def serve(port: int, arrived: Arrived | None = None) -> asyncio.Server:
    """A server on 127.0.0.1:``port``; 0 takes a free one."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: _Upstream(arrived), "127.0.0.1", port, backlog=4096)


async def _main(port: int) -> None:
    await (await serve(port)).serve_forever()


if __name__ == "__main__":
    allow_many_files()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(int(sys.argv[1])))
