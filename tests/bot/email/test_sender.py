"""One mail, a real SMTP server, and every way in which it can go: what each means for a copy."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.email.sender import NoMailbox, Sender
from bot.email.server import MailServer, Security
from bot.platform import AccessLost
from holdpoint.errors import ChannelError, ChannelRefused, ChannelUnavailable
from tests.fakes.smtp import DROP, KEEP_AND_DROP, WAIT, FakeMailServer, certificate
from tests.support.waiting import wait_until

TO = "team@corp.test"
MAIL = b"Subject: x\r\n\r\n.hidden dot\r\nbody\r\n"
SECRET = "hunter2 ü:/"


def at(server: FakeMailServer, security: Security = Security.NONE, *, password: str | None = None) -> MailServer:
    return MailServer(
        "127.0.0.1", server.port, security, "holdpoint@corp.test", user="bot" if password else "",
        password=SecretStr(password) if password else None,
    )  # fmt: skip


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMailServer]:
    """STARTTLS and AUTH, with a certificate that this machine trusts."""
    context, public = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(public))
    server = FakeMailServer(users={"bot": SECRET}, tls=context).start()
    yield server
    server.stop()


async def test_a_mail_arrives_as_it_was_handed_in(mail_server: FakeMailServer) -> None:
    await Sender(at(mail_server)).send(MAIL, to=TO)
    (got,) = mail_server.mails
    assert (got.sender, got.to, got.raw, got.tls, got.user) == ("holdpoint@corp.test", [TO], MAIL, False, "")


async def test_with_starttls_and_a_login(trusted: FakeMailServer) -> None:
    sender = Sender(at(trusted, Security.STARTTLS, password=SECRET))
    await sender.send(MAIL, to=TO)
    assert [(got.tls, got.user) for got in trusted.mails] == [(True, "bot")]
    assert (await sender.probe()).startswith("TLSv1.")
    assert len(trusted.mails) == 1


async def test_with_tls_from_the_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, public = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(public))
    server = FakeMailServer(tls=context, implicit_tls=True).start()
    try:
        await Sender(at(server, Security.TLS)).send(MAIL, to=TO)
        assert [got.raw for got in server.mails] == [MAIL]
    finally:
        server.stop()


async def test_a_password_is_never_sent_in_the_clear(mail_server: FakeMailServer) -> None:
    """The server offers no STARTTLS, or somebody in between took the offer away."""
    with pytest.raises(AccessLost, match="no STARTTLS"):
        await Sender(at(mail_server, Security.STARTTLS, password=SECRET)).send(MAIL, to=TO)
    assert mail_server.mails == []


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
@pytest.mark.parametrize(("name", "trust"), [("other.test", True), ("127.0.0.1", False)])
async def test_a_certificate_that_is_not_the_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, security: Security, name: str, trust: bool
) -> None:
    context, public = certificate(tmp_path, name=name)
    if trust:
        monkeypatch.setenv("SSL_CERT_FILE", str(public))
    server = FakeMailServer(tls=context, implicit_tls=security is Security.TLS).start()
    try:
        with pytest.raises(AccessLost, match="certificate"):
            await Sender(at(server, security)).send(MAIL, to=TO)
        assert server.mails == []
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("answers", "error", "seconds", "said"),
    [
        ({"on_auth": ["535 5.7.8 no"] * 3}, AccessLost, True, "refused the login (535 5.7.8)"),
        ({"on_auth": ["454 4.7.0 later"] * 3}, ChannelUnavailable, True, "not now (454 4.7.0)"),
        ({"on_mail": ["553 5.7.1 not you"]}, AccessLost, True, "HOLDPOINT_EMAIL_FROM (553 5.7.1)"),
        ({"on_mail": ["451 4.3.0 later"]}, ChannelUnavailable, True, "not now (451 4.3.0)"),
        ({"on_mail": [DROP]}, ChannelUnavailable, True, "went away"),
        ({"on_rcpt": ["550 5.1.1 hunter2 unknown"]}, NoMailbox, False, "no mail for this address (550 5.1.1)"),
        ({"on_rcpt": ["450 4.7.1 greylisted"]}, ChannelUnavailable, True, "not now (450 4.7.1)"),
        ({"on_rcpt": [DROP]}, ChannelUnavailable, True, "went away"),
        ({"on_data": ["554 5.6.0 spam"]}, ChannelRefused, False, "the content (554 5.6.0)"),
        ({"on_data": ["451 4.3.0 later"]}, ChannelUnavailable, True, "not now (451 4.3.0)"),
        ({"on_data": ["299 hm"]}, ChannelUnavailable, False, "oddly (299)"),
        ({"on_data": [DROP]}, ChannelUnavailable, False, "did not say"),
    ],
)
async def test_what_a_refusal_means(
    trusted: FakeMailServer, answers: dict[str, list[str]], error: type[ChannelError], seconds: bool, said: str
) -> None:
    """``seconds``: it is certain that nothing was sent."""
    for name, words in answers.items():
        if name == "on_rcpt":
            trusted.on_rcpt[TO] = list(words)
        else:
            setattr(trusted, name, list(words))
    sender = Sender(at(trusted, Security.STARTTLS, password=SECRET))
    with pytest.raises(ChannelError) as caught:
        await sender.send(MAIL, to=TO)
    assert type(caught.value) is error
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert (getattr(caught.value, "retry_after_seconds", None) is not None) == seconds
    assert trusted.mails == []
    await sender.send(MAIL, to=TO)
    assert len(trusted.mails) == 1


async def test_a_wrong_password(trusted: FakeMailServer) -> None:
    with pytest.raises(AccessLost, match=r"refused the login \(535"):
        await Sender(at(trusted, Security.STARTTLS, password="wrong")).probe()


async def test_a_server_without_logins(mail_server: FakeMailServer) -> None:
    with pytest.raises(AccessLost, match="no login"):
        await Sender(at(mail_server, password=SECRET)).probe()


async def test_a_mail_whose_answer_is_lost_may_have_been_taken(mail_server: FakeMailServer) -> None:
    mail_server.on_data = [KEEP_AND_DROP]
    with pytest.raises(ChannelUnavailable, match="did not say") as caught:
        await Sender(at(mail_server)).send(MAIL, to=TO)
    assert caught.value.retry_after_seconds is None
    assert len(mail_server.mails) == 1


def test_a_connection_is_over_when_the_mail_is_although_the_server_says_no_goodbye(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that refuses the address and then reads no more: not even the end of TLS."""
    context, public = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(public))
    over = threading.Event()

    def serve() -> None:
        plain, _ = listener.accept()
        with context.wrap_socket(plain, server_side=True) as client:
            for answer in ("220 hello", "250 hello", "250 from", "550 5.1.1 nobody"):
                client.sendall(answer.encode() + b"\r\n")
                if not answer.startswith("550"):
                    client.recv(1024)
            over.wait(30)

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        served = pool.submit(serve)
        server = MailServer("127.0.0.1", listener.getsockname()[1], Security.TLS, "holdpoint@corp.test")
        with warnings.catch_warnings(record=True) as left:
            warnings.simplefilter("always", ResourceWarning)
            with pytest.raises(NoMailbox):
                asyncio.run(Sender(server).send(MAIL, to=TO))
            gc.collect()
        over.set()
        served.result()
    assert [str(warning.message) for warning in left if issubclass(warning.category, ResourceWarning)] == []


async def test_a_server_that_says_nothing_after_the_content(mail_server: FakeMailServer) -> None:
    mail_server.on_data = [WAIT]
    with pytest.raises(ChannelUnavailable, match="did not say") as caught:
        await Sender(at(mail_server), answer_s=0.2).send(MAIL, to=TO)
    assert caught.value.retry_after_seconds is None


@pytest.mark.parametrize("speaks", [True, False])
async def test_a_server_that_is_away_or_mute(speaks: bool) -> None:
    """``speaks``: nobody listens there at all; else somebody does, and never greets."""
    held: list[asyncio.StreamWriter] = []

    async def mute(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    listener = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    server = MailServer("127.0.0.1", port, Security.NONE, "holdpoint@corp.test")
    if speaks:
        listener.close()
        await listener.wait_closed()
    with pytest.raises(ChannelUnavailable, match="cannot be reached") as caught:
        await Sender(server, handshake_s=0.2).send(MAIL, to=TO)
    assert caught.value.retry_after_seconds
    await wait_until(lambda: speaks or held, "the connection was taken, though perhaps after it was given up")
    for writer in held:
        writer.close()
    listener.close()


async def test_a_name_that_nobody_knows(mail_server: FakeMailServer) -> None:
    with pytest.raises(ChannelUnavailable, match="cannot be reached"):
        await Sender(replace(at(mail_server), host="no-such-host.invalid")).send(MAIL, to=TO)


async def test_few_connections_at_once(mail_server: FakeMailServer) -> None:
    mail_server.on_data = [WAIT] * 12
    sender = Sender(at(mail_server))
    sending = [asyncio.create_task(sender.send(MAIL, to=TO)) for _ in range(12)]
    await wait_until(lambda: mail_server.busy == 4, "four are busy")
    mail_server.release()
    await asyncio.gather(*sending)
    assert (len(mail_server.mails), mail_server.most_busy) == (12, 4)


async def test_whoever_is_stopped_in_the_middle_leaves_no_connection(mail_server: FakeMailServer) -> None:
    mail_server.on_data = [WAIT]
    sending = asyncio.create_task(Sender(at(mail_server)).send(MAIL, to=TO))
    await wait_until(lambda: mail_server.busy == 1, "the content is there")
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
