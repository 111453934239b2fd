"""What a passkey signs, byte by byte: the parts that no honest browser gets wrong, such as the site that it was asked by.

https://www.w3.org/TR/webauthn-3/, 5.8.1 (client data), 6.1 (authenticator data), 7.2 (verifying).
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import bytes_to_base64url, encode_cbor

from bot.web.passkeys import BadPasskey, Party, Signed, handle_of
from holdpoint.store.passkeys import Passkey

SAM = "sam@example.com"
PARTY = Party("holdpoint.example.com", "https://holdpoint.example.com")
PRESENT, VERIFIED = 1, 4
KEY, FORGER = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))


def passkey() -> Passkey:
    numbers = KEY.public_key().public_numbers()
    public = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
    return Passkey(bytes_to_base64url(b"id"), SAM, bytes_to_base64url(encode_cbor(public)), 4, "phone", 1, None, ())


def answer(
    *, origin: str = PARTY.origin, kind: str = "webauthn.get", rp_id: str = PARTY.id, flags: int = PRESENT | VERIFIED,
    key: ec.EllipticCurvePrivateKey = KEY, person: str = SAM, afterwards: bytes = b"",
) -> str:  # fmt: skip
    """What a browser sends, with a signature that is right for what it says, but for ``afterwards``."""
    client = json.dumps({"type": kind, "challenge": bytes_to_base64url(b"c" * 32), "origin": origin}).encode()
    device = hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + (5).to_bytes(4, "big")
    signature = key.sign(device + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
    said = {
        "clientDataJSON": client, "authenticatorData": device + afterwards, "signature": signature, "userHandle": handle_of(person),
    }  # fmt: skip
    name = bytes_to_base64url(b"id")
    response = {member: bytes_to_base64url(value) for member, value in said.items()}
    return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})


def test_a_right_one_counts() -> None:
    assert Signed.read(answer()).verified(PARTY, passkey()) == 5


WRONG: dict[str, dict[str, Any]] = {
    "by a look-alike site": {"origin": "https://holdpoint.example.com.evil.test"},
    "without TLS": {"origin": "http://holdpoint.example.com"},
    "on another port": {"origin": "https://holdpoint.example.com:8443"},
    "by a site below ours": {"origin": "https://other.holdpoint.example.com"},
    "for another party": {"rp_id": "example.com"},
    "to be added": {"kind": "webauthn.create"},
    "a payment": {"kind": "payment.get"},
    "without its user verified": {"flags": PRESENT},
    "without its user there": {"flags": VERIFIED},
    "with another key": {"key": FORGER},
    "for somebody else": {"person": "kim@example.com"},
    "and changed afterwards": {"afterwards": b"\x00"},
}


@pytest.mark.promise(5)
@pytest.mark.parametrize("what", WRONG)
def test_whatever_else_was_signed_does_not(what: str) -> None:
    with pytest.raises(BadPasskey):
        Signed.read(answer(**WRONG[what])).verified(PARTY, passkey())
