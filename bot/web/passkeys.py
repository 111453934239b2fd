"""Passkeys: what a browser is asked, and whether its answer is true. The only importer of the WebAuthn library; no I/O.

Where a step has a number, it is one of https://www.w3.org/TR/webauthn-3/, 7.1 (registering) and 7.2 (verifying). The
library checks type, challenge, origin, rp id, presence, user verification and signature. What is owed here: that the
challenge was given out for this, and once (`holdpoint.store.passkeys`); whose credential it is; and its counter.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import (
    base64url_to_bytes,
    bytes_to_base64url,
    parse_authentication_credential_json,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    RegistrationCredential,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from holdpoint.errors import HoldpointError
from holdpoint.store.passkeys import Passkey

C = TypeVar("C", RegistrationCredential, AuthenticationCredential)

MOST_CHARACTERS = 65_536  # of what a browser sends
LONGEST_NAME = 60
_PATIENCE_MS = 5 * 60_000
# What the library's parsers let through of an answer that is none.
_UNREADABLE = (WebAuthnException, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)


class BadPasskey(HoldpointError):
    """An answer that proves nothing. ``str()`` may be shown to the person."""


@dataclass(frozen=True, slots=True)
class Party:
    """Whose passkeys they are: a host name, and the origin of our pages."""

    id: str
    origin: str


def party_of(link_base: str) -> Party | None:
    """The party at this address; None where browsers know no passkeys: without TLS (but for localhost), at an IP address."""
    url = urlsplit(link_base)
    host = (url.hostname or "").lower()
    is_local = host == "localhost" or host.endswith(".localhost")
    if not host or _is_address(host) or (url.scheme != "https" and not is_local):
        return None
    port = "" if url.port in (None, {"https": 443, "http": 80}[url.scheme]) else f":{url.port}"
    return Party(host, f"{url.scheme}://{host}{port}")


def options_to_add(party: Party, *, principal: str, name: str, challenge: bytes, known: Sequence[Passkey]) -> str:
    """JSON for ``navigator.credentials.create``. ``known`` are those that the person has."""
    options = generate_registration_options(
        rp_id=party.id, rp_name="Holdpoint", user_id=handle_of(principal), user_name=principal,
        user_display_name=name or principal, challenge=challenge, timeout=_PATIENCE_MS, exclude_credentials=_listed(known),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
    )  # fmt: skip
    return options_to_json(options)


def options_to_confirm(party: Party, *, challenge: bytes, known: Sequence[Passkey]) -> str:
    """JSON for ``navigator.credentials.get``: one of ``known`` is to sign."""
    options = generate_authentication_options(
        rp_id=party.id, challenge=challenge, timeout=_PATIENCE_MS, allow_credentials=_listed(known),
        user_verification=UserVerificationRequirement.REQUIRED,
    )  # fmt: skip
    return options_to_json(options)


def handle_of(principal: str) -> bytes:
    """The user handle of a person: says nothing of them (14.6.1)."""
    return hashlib.sha256(f"holdpoint\0{principal}".encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True)
class Made:
    """A new credential, as a browser says. Nothing of it is true before `verified`."""

    credential: RegistrationCredential
    challenge: bytes

    @classmethod
    def read(cls, text: str) -> Made:
        """Raises: BadPasskey."""
        return cls(*_read(text, parse_registration_credential_json))

    def verified(self, party: Party, *, principal: str, name: str, now_ms: int) -> Passkey:
        """The passkey, for ``principal``.

        Raises:
            BadPasskey: it is none, or did not verify its user.
        """
        try:
            found = verify_registration_response(
                credential=self.credential, expected_challenge=self.challenge, expected_rp_id=party.id,
                expected_origin=party.origin, require_user_verification=True,
            )  # fmt: skip
        except _UNREADABLE as error:
            raise BadPasskey("This passkey was not accepted. It has to ask for your PIN, finger or face.") from error
        transports = self.credential.response.transports or []
        return Passkey(
            bytes_to_base64url(found.credential_id), principal, bytes_to_base64url(found.credential_public_key),
            found.sign_count, name.strip()[:LONGEST_NAME] or "Passkey", now_ms, None, tuple(each.value for each in transports),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature, as a browser says. Nothing of it is true before `verified`."""

    credential: AuthenticationCredential
    challenge: bytes

    @classmethod
    def read(cls, text: str) -> Signed:
        """Raises: BadPasskey."""
        return cls(*_read(text, parse_authentication_credential_json))

    @property
    def id(self) -> str:
        return self.credential.id

    def verified(self, party: Party, passkey: Passkey) -> int:
        """The authenticator's counter, once ``passkey`` has signed our challenge with its user verified.

        The counter is not looked at (7.2, 22): see `is_copied`.

        Raises:
            BadPasskey
        """
        handle = self.credential.response.user_handle
        try:
            if handle and handle != handle_of(passkey.principal):  # 7.2, 6
                raise BadPasskey("This passkey is another person's.")
            found = verify_authentication_response(
                credential=self.credential, expected_challenge=self.challenge, expected_rp_id=party.id,
                expected_origin=party.origin, credential_public_key=base64url_to_bytes(passkey.public_key),
                credential_current_sign_count=0, require_user_verification=True,
            )  # fmt: skip
        except _UNREADABLE as error:
            raise BadPasskey("The passkey was not accepted. Try again.") from error
        return found.new_sign_count


def is_copied(passkey: Passkey, uses: int) -> bool:
    """Whether the counter did not move: there may be a copy of the passkey. Many have none, and always say 0."""
    return (uses > 0 or passkey.uses > 0) and uses <= passkey.uses


def _listed(known: Sequence[Passkey]) -> list[PublicKeyCredentialDescriptor]:
    kinds = {each.value: each for each in AuthenticatorTransport}
    return [
        PublicKeyCredentialDescriptor(
            id=base64url_to_bytes(each.id),
            transports=[kinds[name] for name in each.transports if name in kinds] or None,
        )
        for each in known
    ]


def _read(text: str, parse: Callable[[str], C]) -> tuple[C, bytes]:
    """The credential that a browser sends, and the challenge that it says it answers. Raises: BadPasskey."""
    if len(text) > MOST_CHARACTERS:
        raise BadPasskey("The browser's answer is too long. Try again.")
    try:
        credential = parse(text)
        challenge = parse_client_data_json(credential.response.client_data_json).challenge
    except _UNREADABLE as error:
        raise BadPasskey("The browser's answer cannot be read. Try again.") from error
    return credential, challenge


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
