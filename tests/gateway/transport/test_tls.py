"""TLS on the listening side: real handshakes, and everything that has to fail."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from gateway.transport import BodyTooSlow, Reply, Request, client_connection
from gateway.transport.listening import bound
from gateway.transport.server import Door, HttpServer
from gateway.transport.tls import TlsError, TlsFiles, WatchedTls, server_context
from tests.gateway.raw import RawClient
from tests.support.certificates import Authority, Pair, trusting
from tests.support.waiting import wait_until

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def echo(request: Request, reply: Reply) -> None:
    try:
        body = await request.body(1_000_000, 0.3)
    except BodyTooSlow:
        body = b"slow"
    reply.start(200, [("content-length", str(len(body)))])
    await reply.end(body)


@asynccontextmanager
async def serving(
    context: Callable[[], ssl.SSLContext], serve: object = echo, idle_s: float = 60
) -> AsyncIterator[int]:
    server = HttpServer(
        bound("127.0.0.1", 0),
        serve,
        write_timeout_s=1,
        idle_s=idle_s,
        door=Door(tls=context),  # type: ignore[arg-type]
    )
    await server.start_accepting()
    try:
        yield server.port
    finally:
        await server.aclose(0.5)


@asynccontextmanager
async def client(port: int, context: ssl.SSLContext, name: str = "localhost") -> AsyncIterator[RawClient]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    try:
        yield RawClient(reader, writer)
    finally:
        writer.close()
        with suppress(OSError, ssl.SSLError):
            await writer.wait_closed()


def shown(connection: RawClient) -> int:
    """The serial number of the certificate that the server showed."""
    return int(connection.writer.get_extra_info("ssl_object").getpeercert()["serialNumber"], 16)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def pair(authority: Authority) -> Pair:
    return authority.issue("localhost")


async def test_requests_one_after_the_other_and_large_bodies(authority: Authority, pair: Pair) -> None:
    context = server_context(TlsFiles(pair.certificate, pair.key))
    async with serving(lambda: context) as port, client(port, trusting(authority)) as connection:
        await connection.send(GET)
        assert (await connection.head())[0] == 200
        body = b"x" * 500_000
        await connection.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        assert (await connection.head())[1]["content-length"] == str(len(body))
        assert await connection.reader.readexactly(len(body)) == body


async def test_versions(authority: Authority, pair: Pair) -> None:
    context = server_context(TlsFiles(pair.certificate, pair.key))
    async with serving(lambda: context) as port:
        for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
            only = trusting(authority)
            only.minimum_version = only.maximum_version = version
            async with client(port, only) as connection:
                assert connection.writer.get_extra_info("ssl_object").version() == name
        old = trusting(authority)
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            async with client(port, old):
                pass


async def test_clients_that_do_not_trust_the_server(tmp_path: Path, authority: Authority, pair: Pair) -> None:
    context = server_context(TlsFiles(pair.certificate, pair.key))
    expired = authority.issue("localhost", file="expired", valid_for=-dt.timedelta(hours=1))
    too_late = server_context(TlsFiles(expired.certificate, expired.key))
    stranger = Authority(tmp_path, "stranger")
    async with serving(lambda: context) as port, serving(lambda: too_late) as late:
        for where, trusted, name, why in (
            (port, stranger, "localhost", "unable to get local issuer|signature failure"),
            (port, authority, "elsewhere", "Hostname mismatch"),
            (late, authority, "localhost", "expired"),
        ):
            with pytest.raises(ssl.SSLCertVerificationError, match=why):
                async with client(where, trusting(trusted), name):
                    pass
        async with client(port, trusting(authority)) as connection:  # they did no harm
            await connection.send(GET)
            assert (await connection.head())[0] == 200


async def test_clients_need_a_certificate_when_an_authority_is_named(
    tmp_path: Path, authority: Authority, pair: Pair
) -> None:
    served: list[str] = []

    async def count(request: Request, reply: Reply) -> None:
        served.append(request.path)
        await echo(request, reply)

    clients = Authority(tmp_path, "clients")
    good = clients.issue("dana")
    expired = clients.issue("dana", file="old-dana", valid_for=-dt.timedelta(hours=1))
    foreign = authority.issue("dana", file="foreign")  # signed by whom the client trusts, not by whom the server does
    context = server_context(TlsFiles(pair.certificate, pair.key, clients.ca))

    async def ask(wrong: Pair | None) -> None:
        async with client(port, trusting(authority, wrong)) as connection:
            await connection.send(GET)
            await connection.head()

    async with serving(lambda: context, count) as port:
        for wrong in (None, expired, foreign):
            with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
                await ask(wrong)
        assert served == []
        async with client(port, trusting(authority, good)) as connection:
            await connection.send(GET)
            assert (await connection.head())[0] == 200


async def test_plain_http_on_a_tls_port_and_a_handshake_that_never_comes(authority: Authority, pair: Pair) -> None:
    context = server_context(TlsFiles(pair.certificate, pair.key))
    async with serving(lambda: context) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        assert b"HTTP" not in await reader.read()
        writer.close()
        _, silent = await asyncio.open_connection("127.0.0.1", port)
        async with client(port, trusting(authority)) as connection:  # nobody waits for the silent one
            await connection.send(GET)
            assert (await connection.head())[0] == 200
        silent.close()


async def test_a_slow_head_and_a_slow_body(authority: Authority, pair: Pair) -> None:
    context = server_context(TlsFiles(pair.certificate, pair.key))
    async with serving(lambda: context, idle_s=0.3) as port, client(port, trusting(authority)) as connection:
        await connection.send(b"GET / HTTP/1.1\r\nHo")
        assert await connection.rest() == b""
    async with serving(lambda: context) as port, client(port, trusting(authority)) as connection:
        await connection.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
        _, headers = await connection.head()
        assert headers["connection"] == "close"
        assert (await connection.rest()).startswith(b"slow")


@pytest.mark.parametrize("how", ["asked to close", "stops"])
async def test_a_slow_client_has_the_time_for_the_last_of_an_answer_that_it_had_for_the_rest(
    how: str, authority: Authority, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_connection, "_GOODBYE_S", 0.01)
    context = server_context(TlsFiles(pair.certificate, pair.key))
    answered = asyncio.Event()

    async def stuff(_request: Request, reply: Reply) -> None:
        reply.start(200, [])
        (made,) = server._connections
        while made.transport is not None and not made.transport.get_write_buffer_size():
            await reply.write(b"x" * 8_192)
            await asyncio.sleep(0)
        if how == "stops":
            await server.stop_accepting()
        await reply.end()
        answered.set()

    server = HttpServer(bound("127.0.0.1", 0), stuff, write_timeout_s=20, door=Door(tls=lambda: context))
    await server.start_accepting()
    try:
        async with client(server.port, trusting(authority)) as connection:
            connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await connection.send(GET[:-2] + (b"Connection: close\r\n\r\n" if how == "asked to close" else b"\r\n"))
            await answered.wait()
            now = asyncio.get_running_loop().time
            since = now()
            await wait_until(lambda: now() > since + 0.1, "it reads on after ten times as long as a goodbye may take")
            connection.writer.transport.resume_reading()  # type: ignore[attr-defined]
            assert (await connection.rest()).endswith(b"\r\n0\r\n\r\n")
    finally:
        await server.aclose(0)


async def test_renewed_certificates_are_used_by_the_next_connection(tmp_path: Path, authority: Authority) -> None:
    old = authority.issue("localhost", file="server")
    watched = WatchedTls(TlsFiles(old.certificate, old.key), look_every_s=0.01)
    watched.watch()
    async with serving(lambda: watched.context) as port, client(port, trusting(authority)) as first:
        assert shown(first) == old.serial
        broken = old.certificate.read_bytes()
        old.certificate.write_bytes(broken[:50])  # half of it is written
        seen = watched._stamps

        async def looked() -> bool:
            return watched._stamps != seen

        await wait_until(looked, "the broken file was looked at")
        async with client(port, trusting(authority)) as meanwhile:
            assert shown(meanwhile) == old.serial
        new = authority.issue("localhost", file="server")

        async def renewed() -> bool:
            async with client(port, trusting(authority)) as next_one:
                return shown(next_one) == new.serial

        await wait_until(renewed, "the new certificate is shown")
        await first.send(GET)  # a connection that is open stays open
        assert (await first.head())[0] == 200
    watched.stop()


async def test_an_authority_that_is_taken_away_is_believed_no_more(
    tmp_path: Path, authority: Authority, pair: Pair
) -> None:
    before, after = Authority(tmp_path, "before"), Authority(tmp_path, "after")
    dana = before.issue("dana")
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(before.ca.read_bytes())
    watched = WatchedTls(TlsFiles(pair.certificate, pair.key, trusted), look_every_s=0.01)
    watched.watch()
    context = trusting(authority, dana)

    async def comes_in() -> bool:
        try:
            async with client(port, context) as connection:
                await connection.send(GET)
                return (await connection.head())[0] == 200
        except (ssl.SSLError, ConnectionError, asyncio.IncompleteReadError):
            return False

    async def stays_out() -> bool:
        return not await comes_in()

    async with serving(lambda: watched.context) as port:
        assert await comes_in()
        trusted.write_bytes(after.ca.read_bytes())
        await wait_until(stays_out, "the old authority's client is refused")
    watched.stop()


def test_files_that_cannot_be_used(tmp_path: Path, authority: Authority, pair: Pair) -> None:
    other = authority.issue("other")
    empty = tmp_path / "empty.pem"
    empty.write_bytes(b"")
    for files, what in (
        (TlsFiles(tmp_path / "none.crt", pair.key), "none.crt: No such file"),
        (TlsFiles(pair.certificate, other.key), "no PEM certificate with its unencrypted key"),
        (TlsFiles(empty, pair.key), "no PEM certificate with its unencrypted key"),
        (TlsFiles(pair.certificate, pair.key, empty), "empty.pem: no PEM certificates"),
    ):
        with pytest.raises(TlsError, match=what):
            server_context(files)
