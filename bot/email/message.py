"""What is sent: `Mail` plus addresses, ids and headers → the bytes of one message (RFC 5322, MIME, 7 bit). Pure.

The id of a message is made of what it is about, so that one that is sent again after a crash, because nobody knows
whether it was taken, is the same message to mail servers and programs.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from bot.email.render import Mail
from bot.email.server import MailServer


def root_id(owner: str, target: str, intent: str, *, domain: str) -> str:
    """The Message-ID of the first mail about a hold or bundle (``owner``) at ``target``."""
    return f"<{_hash(owner, target, intent)}@{domain}>"


def update_id(root: str, digest: str) -> str:
    """The Message-ID of the reply to ``root`` that tells the news with ``digest``."""
    name, _, domain = root.strip("<>").partition("@")
    return f"<{name}.{_hash(digest)[:16]}@{domain}>"


def compose(
    server: MailServer, mail: Mail, *, to: str, message_id: str, at_ms: int, root: str = "", is_list: bool
) -> bytes:
    """The message. ``root`` is the first mail of the thread, for a reply; ``is_list``: for whoever reads a routed address.

    RFC 3834 (Auto-Submitted), RFC 2919 (List-Id); X-Auto-Response-Suppress is Exchange's, Precedence everybody's.
    """
    message = EmailMessage(policy=SMTP)
    message["From"] = Address(server.name, addr_spec=server.sender)
    message["To"] = Address(addr_spec=to)
    message["Subject"] = f"Re: {mail.subject}" if root else mail.subject
    message["Date"] = datetime.fromtimestamp(at_ms / 1000, UTC)
    message["Message-ID"] = message_id
    if root:
        message["In-Reply-To"] = root
        message["References"] = root
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    if is_list:
        message["Precedence"] = "bulk"
        message["List-Id"] = f"Holdpoint <holdpoint.{server.domain}>"
    message.set_content(mail.text, cte="base64")
    message.add_alternative(mail.html, subtype="html", cte="base64")
    return message.as_bytes()


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
