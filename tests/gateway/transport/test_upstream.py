"""The client's side of the door: what it sends, what it takes for an answer, and when it keeps a connection."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import struct
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.transport import UpstreamBroken, UpstreamError, UpstreamSilent, UpstreamUnreachable
from gateway.transport.upstream import HttpUpstream
from tests.gateway.model import STREAM_HEAD, Model, Received, http, piece, running_model, says, silent
from tests.support.waiting import wait_until, within

HEAD = b"HTTP/1.1 200 OK\r\n"


@asynccontextmanager
async def upstream(**settings: Any) -> AsyncIterator[HttpUpstream]:
    opened = HttpUpstream(**{"connect_timeout_s": 2, "read_timeout_s": 5, **settings})
    try:
        yield opened
    finally:
        await opened.aclose()


async def ask(client: HttpUpstream, url: str, *, method: str = "POST", fresh: bool = False, body: bytes = b"{}") -> Any:
    """Status, headers and body of the whole answer."""
    answer = await client.send(method, url, [("accept", "x/y")], body, fresh=fresh)
    try:
        found = b""
        while not answer.ended:
            found += await answer.read()
        return answer.status, dict(answer.headers), found
    finally:
        answer.close()


async def sockets(model: Model) -> int:
    """On how many connections the requests came."""
    return len({id(each.writer) for each in model.received})


async def test_a_request_is_sent_as_it_is(model: Model) -> None:
    async with upstream() as client:
        await ask(client, f"{model.url}/base/v1/models/a%2Fb", body=b'{"a":1}')
        await ask(client, f"{model.url}/v1/models", method="GET", body=b"", fresh=True)
    first, second = model.received
    host = model.url.removeprefix("http://")
    assert (first.method, first.target, first.body) == ("POST", "/base/v1/models/a%2Fb", b'{"a":1}')
    assert first.headers == {"host": host, "accept": "x/y", "content-length": "7"}
    assert (second.method, second.target) == ("GET", "/v1/models")
    assert second.headers == {"host": host, "accept": "x/y", "connection": "close"}


@pytest.mark.parametrize(
    ("raw", "status", "body"),
    [
        (http(b"hi"), 200, b"hi"),
        (HEAD + b"Content-Length: 0\r\n\r\n", 200, b""),
        (STREAM_HEAD + b"2;x=y\r\nhi\r\n3\r\nyou\r\n0\r\nX-Trailer: 1\r\n\r\n", 200, b"hiyou"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: 1\r\n\r\n" + http(b"hi"), 200, b"hi"),
        (b"\r\n" + http(b"hi"), 200, b"hi"),
    ],
)
@pytest.mark.parametrize("slowly", [False, True], ids=["at once", "byte by byte"])
async def test_answers_that_end_by_themselves(
    raw: bytes, status: int, body: bytes, slowly: bool, model: Model
) -> None:  # fmt: skip
    async def byte_by_byte(received: Received) -> None:
        for each in raw:
            received.writer.write(bytes([each]))
            await received.writer.drain()
            await asyncio.sleep(0)

    model.behave = byte_by_byte if slowly else says(raw)
    async with upstream() as client:
        for _ in range(2):
            found = await ask(client, model.url)
            assert (found[0], found[2]) == (status, body)
            assert "x" not in found[1]
    assert await sockets(model) == 1


@pytest.mark.parametrize(
    "raw",
    [
        HEAD + b"\r\nhi",
        b"HTTP/1.0 200 OK\r\n\r\nhi",
        HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        http(b"hi") + b"something else",
        http(b"hi") + http(b"a second answer"),
    ],
)
async def test_answers_after_which_the_connection_is_not_kept(raw: bytes, model: Model) -> None:
    model.behave = says(raw, then_close=b"\r\n\r\n" in raw and b"ength" not in raw)
    async with upstream() as client:
        for _ in range(2):
            assert (await ask(client, model.url))[2] == b"hi"
    assert await sockets(model) == 2


async def test_the_answer_to_a_head_has_no_body(model: Model) -> None:
    model.behave = says(HEAD + b"Content-Length: 5\r\n\r\n")
    async with upstream() as client:
        assert (await ask(client, model.url, method="HEAD", body=b""))[2] == b""


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
        HEAD + b"Content-Length: -2\r\n\r\nhi",
        HEAD + b"Content-Length: 99999999999999999999999\r\n\r\nhi",
        HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: identity\r\n\r\nhi",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\nhi\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nhi\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\nhi\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi and more\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
        HEAD + b"Content-Length: 3\r\n\r\nhi",
        HEAD + b"X: a\r\n folded\r\nContent-Length: 2\r\n\r\nhi",
        HEAD + b"X : a\r\nContent-Length: 2\r\n\r\nhi",
        HEAD + b"X: a\x00b\r\nContent-Length: 2\r\n\r\nhi",
        HEAD + b"X: " + b"x" * 9_000 + b"\r\nContent-Length: 2\r\n\r\nhi",
        HEAD + b"X: 1\r\n" * 129 + b"Content-Length: 2\r\n\r\nhi",
        HEAD + b"X: " + b"x" * 70_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 3_000,
        STREAM_HEAD + b"0\r\nX: " + b"x" * 600_000,
        STREAM_HEAD + b"2;" + b"x" * 600_000,
    ],
)  # fmt: skip
async def test_what_is_no_answer(raw: bytes, model: Model) -> None:
    limits = len(raw) > 60_000  # these must be refused before they end
    model.behave = says(raw, then_close=not limits)
    async with upstream() as client, within(4):
        with pytest.raises(UpstreamBroken):
            await ask(client, model.url)
    assert len(model.received) == 1


async def test_chunks_that_arrive_together_are_one_piece(model: Model) -> None:
    chunks = [b"%d " % number for number in range(200)]
    model.behave = says(STREAM_HEAD + b"".join(map(piece, chunks)) + b"0\r\n\r\n")
    async with upstream() as client:
        for _ in range(2):  # over one connection
            answer = await client.send("POST", model.url, [], b"{}", fresh=False)
            found = [await answer.read()]
            while not answer.ended:
                found.append(await answer.read())
            answer.close()
            assert b"".join(found) == b"".join(chunks)
            assert len(found) < 10
    assert await sockets(model) == 1


@pytest.mark.parametrize("broken", [b"zz\r\n", b"3\r\nhi\r\n0\r\n\r\n"])
async def test_chunks_that_arrive_with_what_is_none_are_read_first(broken: bytes, model: Model) -> None:
    model.behave = says(STREAM_HEAD + piece(b"one ") + piece(b"two") + broken)
    async with upstream() as client:
        answer = await client.send("POST", model.url, [], b"{}", fresh=False)
        found = b""
        while len(found) < len(b"one two"):
            found += await answer.read()
        answer.close()
        assert found.startswith(b"one two")
        assert not answer.ended
        model.behave = says(http(b"hi"))
        assert (await ask(client, model.url))[2] == b"hi"


async def test_a_body_where_none_may_be_belongs_to_no_answer(model: Model) -> None:
    model.behave = says(http(b"hi"))
    async with upstream() as client:
        for _ in range(2):
            assert (await ask(client, model.url, method="HEAD", body=b""))[2] == b""
        assert (await ask(client, model.url))[2] == b"hi"
    assert await sockets(model) == 3


async def test_what_came_before_the_break_is_read_first(model: Model) -> None:
    model.behave = says(STREAM_HEAD + piece(b"one"), then_close=True)
    async with upstream() as client:
        answer = await client.send("POST", model.url, [], b"{}", fresh=False)
        found = b""
        while found != b"one":
            found += await answer.read()
        for _ in range(2):
            with pytest.raises(UpstreamBroken):
                await answer.read()
        assert not answer.ended
        answer.close()


async def test_connections_are_kept_but_for_whoever_wants_a_fresh_one(model: Model) -> None:
    async with upstream() as client:
        await ask(client, model.url)
        await ask(client, model.url)
        assert await sockets(model) == 1
        await ask(client, model.url, fresh=True)
        await ask(client, model.url, fresh=True)
        assert await sockets(model) == 3
        await ask(client, model.url)
        assert await sockets(model) == 3
        await asyncio.gather(*(ask(client, model.url) for _ in range(3)))
        assert await sockets(model) == 5


async def test_a_kept_connection_that_closed_is_passed_over(model: Model) -> None:
    async with upstream() as client:
        for _ in range(3):
            await ask(client, model.url)
            model.received[-1].writer.close()
            await wait_until(model.received[-1].writer.is_closing, "the model hung up")
            await _idle_connections(client, 0)
    assert len(model.received) == 3


async def test_a_connection_is_not_kept_for_long(model: Model) -> None:
    async with upstream(keep_s=0.05) as client:
        await asyncio.gather(ask(client, model.url), ask(client, model.url))
        await _idle_connections(client, 0)
        await ask(client, model.url)
    assert await sockets(model) == 3


async def _idle_connections(client: HttpUpstream, count: int) -> None:
    await wait_until(lambda: sum(len(pool._idle) for pool in client._pools.values()) == count, f"{count} are idle")


async def test_what_nobody_asked_for_closes_an_idle_connection(model: Model) -> None:
    async with upstream() as client:
        await ask(client, model.url)
        model.received[0].writer.write(http(b"unasked"))
        await _idle_connections(client, 0)
        assert (await ask(client, model.url))[2] != b"unasked"


async def test_an_answer_that_is_not_read_to_its_end_closes_the_connection(model: Model) -> None:
    async def begin(received: Received) -> None:
        received.writer.write(STREAM_HEAD + piece(b"one"))
        await received.gone.wait()

    model.behave = begin
    async with upstream() as client:
        answer = await client.send("POST", model.url, [], b"{}", fresh=False)
        answer.close()
        answer.close()
        async with within(5):
            await model.received[0].gone.wait()


async def test_who_stops_waiting_closes_the_connection(model: Model) -> None:
    model.behave = silent
    async with upstream() as client:
        asking = asyncio.ensure_future(ask(client, model.url))
        await wait_until(lambda: model.received, "the model was asked")
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        async with within(5):
            await model.received[0].gone.wait()


@pytest.mark.parametrize("begun", [b"", STREAM_HEAD + piece(b"one")], ids=["before the head", "in the middle"])
async def test_silence(begun: bytes, model: Model) -> None:
    async def behave(received: Received) -> None:
        received.writer.write(begun)
        await received.gone.wait()

    async with upstream(read_timeout_s=0.5) as client:
        await ask(client, model.url)
        model.behave = behave
        with pytest.raises(UpstreamSilent):
            await ask(client, model.url)
        async with within(5):
            await model.received[1].gone.wait()


async def test_who_does_not_read_stops_the_model_and_does_not_call_it_silent(model: Model) -> None:
    sent = 0
    stop = False

    async def flood(received: Received) -> None:
        nonlocal sent
        received.writer.write(STREAM_HEAD)
        while not stop:
            received.writer.write(piece(b"x" * 65_536))
            await received.writer.drain()
            sent += 65_536
        received.writer.write(b"0\r\n\r\n")

    model.behave = flood
    loop = asyncio.get_running_loop()
    async with upstream(read_timeout_s=0.5) as client:
        answer = await client.send("POST", model.url, [], b"{}", fresh=False)
        until = loop.time() + 0.8
        await wait_until(lambda: loop.time() > until, "longer than a silence may last has passed")
        stuck = sent
        assert stuck < 20_000_000, "what the sockets buffer, and no more"
        assert answer.unread < 400_000
        stop = True
        found = 0
        while not answer.ended:
            found += len(await answer.read())
        assert found >= stuck
        answer.close()
        await ask(client, model.url)
    assert await sockets(model) == 1


async def test_a_large_body_is_sent_whole(model: Model) -> None:
    async with upstream() as client:
        model.behave = says(http(b"hi"))
        assert (await ask(client, model.url, body=b"x" * 3_000_000))[2] == b"hi"
    assert len(model.received[0].body) == 3_000_000


async def test_nobody_is_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        async with upstream() as client:
            for url in (f"http://127.0.0.1:{taken.getsockname()[1]}", "http://nobody.invalid/", "http://a..b\u00e9/"):
                with pytest.raises(UpstreamUnreachable):
                    await ask(client, url)


async def test_a_server_that_does_not_shake_hands_costs_the_connect_timeout(model: Model) -> None:
    async with upstream(connect_timeout_s=0.2) as client:
        with pytest.raises(UpstreamUnreachable):
            await ask(client, model.url.replace("http:", "https:"))


async def test_a_credential_with_a_line_break_is_never_sent(model: Model) -> None:
    async with upstream() as client:
        with pytest.raises(UpstreamUnreachable):
            await client.send("POST", model.url, [("authorization", "Bearer a\r\nx-other: b")], b"", fresh=False)
    assert model.received == []


async def test_closing_ends_running_requests(model: Model) -> None:
    model.behave = silent
    client = HttpUpstream(connect_timeout_s=2, read_timeout_s=5)
    asking = asyncio.ensure_future(ask(client, model.url))
    await wait_until(lambda: model.received, "the model was asked")
    await client.aclose()
    with pytest.raises(UpstreamBroken):
        await asking


@pytest.mark.parametrize("how", ["the model breaks off", "this side closes"])
async def test_an_answer_without_a_length_that_is_cut_is_not_whole(how: str, model: Model) -> None:
    async def begin(received: Received) -> None:
        received.writer.write(HEAD + b"\r\nhalf of it")
        await received.gone.wait()

    model.behave = begin
    async with upstream() as client:
        answer = await client.send("POST", model.url, [], b"{}", fresh=False)
        assert await answer.read() == b"half of it"
        if how == "this side closes":
            await client.aclose()
        else:
            raw = model.received[0].writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not an end
            model.received[0].writer.transport.abort()
        with pytest.raises(UpstreamBroken):
            await answer.read()
        answer.close()


async def test_ipv6() -> None:
    model = Model()
    try:
        server = await asyncio.start_server(model.serve, "::1", 0)
    except OSError:
        pytest.skip("this machine has no IPv6")
    async with server, upstream() as client:
        port = server.sockets[0].getsockname()[1]
        assert (await ask(client, f"http://[::1]:{port}/"))[0] == 200
        assert model.received[0].headers["host"] == f"[::1]:{port}"


async def test_a_name_with_several_addresses(model: Model) -> None:
    async with upstream() as client:
        assert (await ask(client, model.url.replace("127.0.0.1", "localhost")))[0] == 200


@pytest.mark.parametrize("trusted", [True, False])
async def test_tls(trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(  # noqa: ASYNC221 - a moment, before anything runs
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    model = Model()
    server = await asyncio.start_server(model.serve, "127.0.0.1", 0, ssl=context)
    async with server, upstream() as client:
        port = server.sockets[0].getsockname()[1]
        if trusted:
            for _ in range(2):
                assert (await ask(client, f"https://localhost:{port}/v1/models"))[0] == 200
            assert await sockets(model) == 1
            with pytest.raises(UpstreamError):
                await ask(client, f"https://127.0.0.1:{port}/")  # another name than the certificate's
        else:
            with pytest.raises(UpstreamUnreachable):
                await ask(client, f"https://localhost:{port}/")
            assert model.received == []


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with running_model() as running:
        yield running


async def test_a_header_that_cannot_be_sent_costs_no_kept_connection(model: Model) -> None:
    url = f"{model.url}/v1/models"
    asked: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    async with upstream() as client:
        await ask(client, url)
        with pytest.raises(UpstreamUnreachable):
            client.try_send("POST", url, [("authorization", "Bearer a\nb")], b"{}", asked.set_result)
        assert client.try_send("POST", url, [("accept", "x/y")], b"{}", asked.set_result) is not None
        (await asked).close()
    assert await sockets(model) == 1


@pytest.mark.promise(2)
async def test_what_requests_have_in_common_is_not_mixed_up(model: Model) -> None:
    """How a request begins is remembered: never with another's credential, never with what one request had of its own."""
    url = f"{model.url}/v1/models"
    async with upstream() as client:
        for number in (1, 2, 1):
            for more in ([], [("x-request-id", f"r{number}")], []):
                answer = await client.send(
                    "POST", url, (("authorization", f"Bearer {number}"),), b"{}", fresh=False, more=more
                )
                while not answer.ended:
                    await answer.read()
                answer.close()
        with pytest.raises(UpstreamUnreachable):
            await client.send(
                "POST", url, (("authorization", "Bearer 1"),), b"", fresh=False, more=[("a", "b\r\nc: d")]
            )
        for _ in range(2):
            with pytest.raises(UpstreamUnreachable):
                await client.send("POST", url, (("authorization", "Bearer 1\r\nc: d"),), b"", fresh=False)
    sent = [(each.headers["authorization"], each.headers.get("x-request-id")) for each in model.received]
    assert sent == [(f"Bearer {number}", more) for number in (1, 2, 1) for more in (None, f"r{number}", None)]
