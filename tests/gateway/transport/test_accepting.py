"""Who is let in: Unix sockets, IPv6, PROXY preambles, forwarded headers, and how many at a time."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
import struct
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from gateway.transport import Reply, Request
from gateway.transport.listening import PathSocket, bound, shared
from gateway.transport.server import Door, HttpServer
from gateway.transport.tls import TlsFiles, server_context
from holdpoint.addresses import TrustedProxies
from tests.gateway.raw import RawClient, raw_client
from tests.support.certificates import Authority, trusting
from tests.support.waiting import wait_until

HERE = TrustedProxies("127.0.0.1")
ELSEWHERE = TrustedProxies("192.0.2.0/24")
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"
V2 = (
    b"\r\n\r\n\x00\r\nQUIT\n\x21\x11"
    + struct.pack("!H", 12 + 5)
    + socket.inet_aton("192.0.2.8") * 2
    + b"\0\1\0\2"
    + b"\x04\0\2ab"
)


async def peer(request: Request, reply: Reply) -> None:
    body = json.dumps(request.peer).encode()
    reply.start(200, [("content-length", str(len(body)))])
    await reply.end(body)


@asynccontextmanager
async def serving(door: Door, sockets: list[socket.socket] | None = None) -> AsyncIterator[int]:
    server = HttpServer(sockets or bound("127.0.0.1", 0), peer, write_timeout_s=1, door=door)
    await server.start_accepting()
    try:
        yield server.port
    finally:
        await server.aclose(0.5)


async def answer(client: RawClient) -> object:
    _, headers = await client.head()
    return json.loads(await client.reader.readexactly(int(headers["content-length"])))


@pytest.mark.parametrize(
    ("preamble", "source"), [(V1, "192.0.2.7"), (V2, "192.0.2.8"), (b"PROXY UNKNOWN\r\n", "127.0.0.1")]
)
async def test_a_preamble_in_one_piece_and_byte_by_byte(preamble: bytes, source: str) -> None:
    async with serving(Door(proxies=HERE, preambles=True)) as port:
        async with raw_client(port) as client:
            await client.send(preamble + GET + GET)
            assert [await answer(client), await answer(client)] == [source, source]
        async with raw_client(port) as client:
            for at in range(len(preamble)):
                await client.send(preamble[at : at + 1])
                await asyncio.sleep(0)
            await client.send(GET)
            assert await answer(client) == source


@pytest.mark.parametrize(
    "data", [GET, b"PROXY TCP4 192.0.2.7\r\n" + GET, b"\x16\x03\x01", V2[:13] + b"\x41" + V2[14:] + GET]
)
async def test_a_trusted_proxy_without_a_preamble_is_cut(data: bytes) -> None:
    async with serving(Door(proxies=HERE, preambles=True)) as port, raw_client(port) as client:
        await client.send(data)
        with suppress(ConnectionResetError):
            assert await client.rest() == b""


@pytest.mark.parametrize("door", [Door(proxies=ELSEWHERE, preambles=True), Door(proxies=HERE), Door()])
@pytest.mark.parametrize("preamble", [V1, V2])
async def test_a_preamble_from_anybody_else_is_refused(door: Door, preamble: bytes) -> None:
    async with serving(door) as port:
        async with raw_client(port) as client:
            await client.send(preamble + GET)
            assert (await client.rest()).startswith(b"HTTP/1.1 400 ")
        async with raw_client(port) as client:  # and none is wanted from them
            await client.send(GET)
            assert await answer(client) == "127.0.0.1"


async def test_a_preamble_before_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("localhost")
    context = server_context(TlsFiles(pair.certificate, pair.key))
    async with serving(Door(tls=lambda: context, proxies=HERE, preambles=True)) as port:
        plain = socket.create_connection(("127.0.0.1", port))
        plain.sendall(V2)
        plain.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=plain, ssl=trusting(authority), server_hostname="localhost")
        client = RawClient(reader, writer)
        await client.send(GET)
        assert await answer(client) == "192.0.2.8"
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@pytest.mark.parametrize(
    ("door", "header", "status", "seen"),
    [
        (Door(proxies=HERE), "X-Forwarded-For: 198.51.100.9, 192.0.2.7", 200, "192.0.2.7"),
        (Door(proxies=HERE), "X-Forwarded-For: junk", 400, None),
        (Door(proxies=HERE), "Forwarded: for=192.0.2.7", 200, "127.0.0.1"),
        (Door(proxies=HERE, forwarded_header="forwarded"), "Forwarded: for=192.0.2.7", 200, "192.0.2.7"),
        (Door(proxies=HERE, forwarded_header="forwarded"), "X-Forwarded-For: 192.0.2.7", 200, "127.0.0.1"),
        (Door(proxies=ELSEWHERE), "X-Forwarded-For: 192.0.2.7", 200, "127.0.0.1"),
        (Door(proxies=ELSEWHERE), "X-Forwarded-For: junk", 200, "127.0.0.1"),
        (Door(), "X-Forwarded-For: 192.0.2.7", 200, "127.0.0.1"),
    ],
)
async def test_forwarded_headers(door: Door, header: str, status: int, seen: str | None) -> None:
    async with serving(door) as port, raw_client(port) as client:
        await client.send(f"GET / HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n".encode())
        got, headers = await client.head()
        body = json.loads(await client.reader.readexactly(int(headers["content-length"])))
        assert got == status
        assert seen is None or body == seen


async def test_the_client_of_one_request_is_not_that_of_the_next() -> None:
    async with serving(Door(proxies=HERE)) as port, raw_client(port) as client:
        await client.send(GET.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n") + GET)
        assert [await answer(client), await answer(client)] == ["192.0.2.7", "127.0.0.1"]


async def test_ipv6_and_ipv4_side_by_side() -> None:
    async with serving(Door(), bound("::1", 0)) as port:
        reader, writer = await asyncio.open_connection("::1", port)
        client = RawClient(reader, writer)
        await client.send(GET)
        assert await answer(client) == "::1"
        writer.close()
    sockets = bound("localhost", 0)
    assert len({each.getsockname()[1] for each in sockets}) == 1
    for each in sockets:
        each.close()


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # a socket's path is short
        yield Path(folder) / "g.sock"


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def left_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


async def test_a_unix_socket(path: Path) -> None:
    place = PathSocket(path, 0o620)
    assert mode_of(path) == 0o620
    async with serving(Door(proxies=TrustedProxies("unix:")), [place.socket]):
        with pytest.raises(OSError, match="in use"):
            PathSocket(path, 0o600)
        for header, seen in ((b"", "unix:"), (b"X-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7")):
            reader, writer = await asyncio.open_unix_connection(path)
            client = RawClient(reader, writer)
            await client.send(GET[:-2] + header + b"\r\n")
            assert await answer(client) == seen
            writer.close()
    place.close()
    assert left_in(path.parent) == ["g.sock.lock"]


def test_what_a_killed_process_left_is_replaced_and_what_is_somebody_elses_is_not(path: Path) -> None:
    left = PathSocket(path, 0o600)
    left.socket.close()
    left._lock.release()
    assert path.exists()
    PathSocket(path, 0o600).close()
    path.write_text("a file")
    with pytest.raises(OSError, match="no socket"):
        PathSocket(path, 0o600)
    assert path.read_text() == "a file"
    path.unlink()
    with socket.socket(socket.AF_UNIX) as foreign:  # of a program that does not lock
        foreign.bind(str(path))
        foreign.listen()
        with pytest.raises(OSError, match="in use"):
            PathSocket(path, 0o600)


async def test_a_place_for_workers_is_taken_alone_and_shared_only_on_purpose() -> None:
    (mine,) = shared(bound("127.0.0.1", 0))
    port = mine.getsockname()[1]
    for _ in range(2):
        with pytest.raises(OSError, match="in use"):  # also while no worker listens
            bound("127.0.0.1", port)
    workers = bound("127.0.0.1", port, join=True) + bound("127.0.0.1", port, join=True)
    for worker in workers:
        worker.listen()
    with pytest.raises(OSError, match="in use"):
        bound("127.0.0.1", port)
    for each in (mine, *workers):
        each.close()


async def test_beyond_the_bound_clients_are_turned_away() -> None:
    async with serving(Door(most_connections=2)) as port:
        async with raw_client(port) as first, raw_client(port) as second:
            for client in (first, second):
                await client.send(GET)
                await answer(client)
            async with raw_client(port) as third:
                status, headers = await third.head()
                assert (status, headers["connection"], headers["retry-after"]) == (503, "close", "2")
                error = json.loads(await third.reader.readexactly(int(headers["content-length"])))
                assert error["error"]["code"] == "unavailable"
                await third.send(GET)
                assert await third.rest() == b""  # nobody reads what it sends
            await first.send(GET)
            assert await answer(first) == "127.0.0.1"

        async def room() -> bool:
            async with raw_client(port) as client:
                await client.send(GET)
                return (await client.head())[0] == 200

        await wait_until(room, "there is room again")
