"""A browser that comes back to this machine: one small HTTP server on a loopback port, for one answer (RFC 8252, 7.3)."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

PATH = "/callback"
_LONGEST_LINE = 16_384
_READ_S = 10.0
_DONE = "You can close this window and go back to your terminal."
_NOT_OURS = "This is not the answer that your terminal waits for."


class Loopback:
    """Waits for the answer that has ``state``; whatever else knocks is sent away, and changes nothing."""

    def __init__(self, state: str) -> None:
        self._state = state
        self._answer: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
        self.port = 0

    @property
    def redirect_uri(self) -> str:
        return f"http://127.0.0.1:{self.port}{PATH}"

    async def answer(self, *, seconds: float) -> dict[str, str]:
        """The parameters of the answer.

        Raises:
            TimeoutError: nobody has come back.
        """
        async with asyncio.timeout(seconds):
            return await self._answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: a request line is all that is read."""
        try:
            async with asyncio.timeout(_READ_S):
                line = await reader.readline()
                is_ours = self._take(line.decode("latin-1").split())
                text = _DONE if is_ours else _NOT_OURS
                status = "200 OK" if is_ours else "404 Not Found"
                writer.write(
                    f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(text)}\r\n"
                    f"Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{text}".encode()
                )
                await writer.drain()
        except (TimeoutError, ConnectionError, ValueError):
            pass  # not a browser, or one that has gone
        finally:
            writer.close()

    def _take(self, words: list[str]) -> bool:
        if len(words) != 3 or words[0] != "GET" or self._answer.done():
            return False
        parts = urlsplit(words[1])
        found = parse_qs(parts.query, keep_blank_values=True)
        state = found.get("state", [""])
        if parts.path != PATH or any(len(values) != 1 for values in found.values()):
            return False
        if not hmac.compare_digest(state[0].encode(), self._state.encode()):
            return False
        self._answer.set_result({name: values[0] for name, values in found.items()})
        return True


@asynccontextmanager
async def loopback(state: str) -> AsyncIterator[Loopback]:
    """A `Loopback` on a free port of 127.0.0.1.

    Raises:
        OSError: there is none.
    """
    waiting = Loopback(state)
    server = await asyncio.start_server(waiting.serve, "127.0.0.1", 0, limit=_LONGEST_LINE)
    try:
        waiting.port = server.sockets[0].getsockname()[1]
        yield waiting
    finally:
        server.close()
        await server.wait_closed()
