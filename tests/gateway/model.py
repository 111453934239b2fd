"""A model on a raw socket: it answers byte for byte what a test says, and keeps byte for byte what it was sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Received:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    writer: asyncio.StreamWriter
    gone: asyncio.Event = field(default_factory=asyncio.Event)


Behave = Callable[[Received], Awaitable[None]]

COMPLETION = {
    "id": "c1", "object": "chat.completion", "created": 1, "model": "demo",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "fine"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}  # fmt: skip


def chunk(text: str) -> bytes:
    event = {
        "id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "demo",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}],
    }  # fmt: skip
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def http(body: bytes, *, status: str = "200 OK", kind: str = "application/json", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def piece(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


async def well(received: Received) -> None:
    """What a healthy model does: JSON, or a stream of two words."""
    if received.body and json.loads(received.body).get("stream"):
        received.writer.write(STREAM_HEAD + piece(chunk("fi")) + piece(chunk("ne")) + piece(b"data: [DONE]\n\n"))
        received.writer.write(b"0\r\n\r\n")
    else:
        received.writer.write(http(json.dumps(COMPLETION).encode()))


def says(raw: bytes, *, then_close: bool = False) -> Behave:
    async def behave(received: Received) -> None:
        received.writer.write(raw)
        if then_close:
            await received.writer.drain()
            received.writer.close()

    return behave


async def silent(received: Received) -> None:
    await received.gone.wait()


class Model:
    """``behave`` may be exchanged at any time; ``received`` are the requests that arrived."""

    def __init__(self) -> None:
        self.behave: Behave = well
        self.received: list[Received] = []
        self.url = ""

    @property
    def bodies(self) -> list[dict[str, object]]:
        return [json.loads(each.body) for each in self.received]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                line, *lines = head.strip().split("\r\n")
                method, target, _ = line.split(" ")
                headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                received = Received(method, target, headers, body, writer)
                self.received.append(received)
                end = asyncio.ensure_future(reader.read(1))  # the next request only comes once this one is answered
                end.add_done_callback(lambda done, gone=received.gone: None if done.cancelled() else gone.set())
                try:
                    await self.behave(received)
                finally:
                    end.cancel()
                    with suppress(asyncio.CancelledError, ConnectionError):
                        await end
                await writer.drain()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def running_model() -> AsyncIterator[Model]:
    model = Model()
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(model.serve(reader, writer))
        tasks.add(task)
        with suppress(asyncio.CancelledError):
            await task
        tasks.discard(task)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    model.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield model
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
