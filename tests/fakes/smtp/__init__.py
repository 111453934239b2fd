"""A mail server that takes mail, refuses it, dawdles or hangs up, as it is told: aiosmtpd in a thread of its own."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import logging
import ssl
import threading
from collections import defaultdict
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.ports import free_port

logging.getLogger("mail.log").setLevel(logging.CRITICAL)

DROP = "drop"  # hang up instead of answering
KEEP_AND_DROP = "keep and drop"  # take the mail, then hang up without saying so
WAIT = "wait"  # say nothing until `release`


@dataclass(frozen=True)
class Received:
    """One mail that was taken. ``user`` is who had logged in, empty for nobody."""

    sender: str
    to: list[str]
    raw: bytes
    user: str
    tls: bool

    @property
    def message(self) -> EmailMessage:
        message = message_from_bytes(self.raw, policy=policy.default)
        assert isinstance(message, EmailMessage)
        return message

    def part(self, kind: str) -> str:
        """The text of the part ``kind`` ("plain", "html")."""
        found = self.message.get_body((kind,))
        assert found is not None
        return str(found.get_content())


class FakeMailServer:
    """``on_connect``, ``on_mail``, ``on_rcpt`` (by address), ``on_data``: answers of the next commands, then all is well."""

    def __init__(
        self,
        *,
        users: dict[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        port: int = 0,
    ) -> None:
        self.mails: list[Received] = []
        self.users = users or {}
        self.on_mail: list[str] = []
        self.on_rcpt: defaultdict[str, list[str]] = defaultdict(list)
        self.on_auth: list[str] = []
        self.on_data: list[str] = []
        self.refused: dict[str, str] = {}  # addresses that never get mail
        self.tried: list[str] = []  # every RCPT
        self.connections = 0
        self.busy = 0
        self.most_busy = 0
        self._released = threading.Event()
        self._tls = tls
        self.port = port or free_port()
        self._controller = _Controller(
            self, hostname="127.0.0.1", port=self.port, tls_context=None if implicit_tls else tls,
            ssl_context=tls if implicit_tls else None, auth_require_tls=True,
            authenticator=self._authenticate if self.users else None, auth_required=bool(self.users),
            enable_SMTPUTF8=False, ready_timeout=60,
        )  # fmt: skip

    def start(self) -> FakeMailServer:
        self._controller.start()
        self.connections = 0
        return self

    def stop(self) -> None:
        self._released.set()
        if self._controller._thread is not None:
            self._controller.stop()

    def release(self) -> None:
        """Let everybody go on who was told to wait."""
        self._released.set()

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        if self.on_auth:
            return AuthResult(success=False, handled=False, message=self.on_auth.pop(0))
        assert isinstance(data, LoginPassword)
        right = self.users.get(data.login.decode()) == data.password.decode()
        return AuthResult(success=right, handled=False, auth_data=data.login.decode() if right else None)

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.on_mail:
            return await self._answer(self.on_mail.pop(0), server)
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.tried.append(address)
        if address in self.refused:
            return self.refused[address]
        if self.on_rcpt[address]:
            return await self._answer(self.on_rcpt[address].pop(0), server)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        try:
            answer = self.on_data.pop(0) if self.on_data else "250 OK"
            if answer == KEEP_AND_DROP:
                self._take(session, envelope)
            said = await self._answer(answer, server)
            if said.startswith("250"):
                self._take(session, envelope)
            return said
        finally:
            self.busy -= 1

    def _take(self, session: Session, envelope: Envelope) -> None:
        assert isinstance(envelope.content, bytes)
        user = str(session.auth_data) if session.authenticated else ""
        tls = session.ssl is not None
        self.mails.append(Received(str(envelope.mail_from), list(envelope.rcpt_tos), envelope.content, user, tls))

    async def _answer(self, word: str, server: SMTP) -> str:
        if word in (DROP, KEEP_AND_DROP):
            assert server.transport is not None
            server.transport.close()
            return "421 bye"
        if word == WAIT:
            await asyncio.to_thread(self._released.wait)
            return "250 OK"
        return word


class _Controller(Controller):
    def factory(self) -> SMTP:
        self.handler.connections += 1
        return super().factory()


def certificate(folder: Path, *, name: str = "127.0.0.1") -> tuple[ssl.SSLContext, Path]:
    """A server's context for ``name``, and the file of the certificate that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    try:
        alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "cert.pem", folder / "key.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context, public
