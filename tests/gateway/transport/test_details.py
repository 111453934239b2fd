"""What HTTP says about the edges of a request: trailers, expectations, HEAD."""

from __future__ import annotations

from gateway.transport import Reply, Request
from tests.gateway.raw import raw_client
from tests.gateway.transport.test_server import get, serving

POST = b"POST / HTTP/1.1\r\nHost: x\r\n"


async def names(request: Request, reply: Reply) -> None:
    """Says which body came, and whether a trailer became a header."""
    body = await request.body(100, 1)
    answer = body + b"|" + (request.header("x-holdpoint-justification") or "none").encode()
    reply.start(200, [("content-length", str(len(answer)))])
    await reply.end(answer)


async def test_trailers_are_dropped_and_the_next_request_is_read() -> None:
    async with serving(names) as port, raw_client(port) as client:
        chunked = POST + b"Transfer-Encoding: chunked\r\nTrailer: X-Holdpoint-Justification\r\n\r\n2\r\nab\r\n0\r\n"
        await client.send(chunked + b"X-Holdpoint-Justification: trust me\r\n\r\n" + get("/"))
        for expected in (b"ab|none", b"|none"):
            _, headers = await client.head()
            assert await client.reader.readexactly(int(headers["content-length"])) == expected


async def test_a_body_is_asked_for_only_when_it_is_wanted() -> None:
    async with serving(names) as port, raw_client(port) as client:
        await client.send(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert (await client.head())[0] == 100
        await client.send(b"ab")
        assert (await client.head())[0] == 200

    async def refuses(_request: Request, reply: Reply) -> None:
        reply.start(403, [("content-length", "0")])
        await reply.end()

    async with serving(refuses) as port, raw_client(port) as client:
        await client.send(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        status, headers = await client.head()
        assert (status, headers["connection"]) == (403, "close")
