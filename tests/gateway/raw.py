"""A client on a raw socket, for what no HTTP library would send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class RawClient:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        raw = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *lines = raw.strip().split("\r\n")
        return int(line.split(" ")[1]), {
            name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)
        }

    async def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        return await self.reader.read()

    def vanish(self) -> None:
        self.writer.transport.abort()


@asynccontextmanager
async def raw_client(port: int) -> AsyncIterator[RawClient]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    try:
        yield RawClient(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def post(path: str, key: str, body: bytes, *headers: str) -> bytes:
    """A request, as bytes. A header given here takes the place of the usual one of that name."""
    given = {line.partition(":")[0].lower() for line in headers}
    usual = [f"Authorization: Bearer {key}", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines = [line for line in usual if line.partition(":")[0].lower() not in given] + list(headers)
    head = "".join(f"{line}\r\n" for line in lines)
    return f"POST {path} HTTP/1.1\r\nHost: gateway\r\n{head}\r\n".encode() + body
