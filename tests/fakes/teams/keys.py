"""Who signs what: the keys of the Bot Framework (towards the bot) and of Entra (the bot's own tokens)."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from functools import cache

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

from tests.fakes.teams.things import APP_ID, Json

ISSUER = "https://api.botframework.com"


@cache
def private_key(name: str) -> rsa.RSAPrivateKey:
    """The key of that name; made once a process, as they are dear."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_pem(name: str) -> bytes:
    return private_key(name).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@dataclass
class SigningKey:
    kid: str
    endorsements: list[str] | None = field(default_factory=lambda: ["msteams", "webchat"])
    published: bool = True

    def jwk(self) -> Json:
        described: Json = json.loads(RSAAlgorithm.to_jwk(private_key(self.kid).public_key()))
        described.pop("key_ops", None)
        described |= {"kid": self.kid, "x5t": self.kid, "use": "sig"}
        if self.endorsements is not None:
            described["endorsements"] = self.endorsements
        return described


@dataclass
class KeyRing:
    """The announced keys; the last one signs."""

    keys: list[SigningKey] = field(default_factory=lambda: [SigningKey("k1")])
    made: int = 1

    @property
    def current(self) -> SigningKey:
        return self.keys[-1]

    def rotate(self, *, publish: bool = True, keep: bool = True) -> str:
        """A new key signs from now on. ``publish`` False: announced nowhere yet; ``keep`` False: the old ones vanish."""
        if not keep:
            self.keys.clear()
        self.made += 1
        kid = f"k{self.made}"
        self.keys.append(SigningKey(kid, published=publish))
        return kid

    def jwks(self) -> Json:
        return {"keys": [key.jwk() for key in self.keys if key.published]}

    def token(self, service_url: str) -> str:
        """What Teams puts beside an activity."""
        return signed(claims(service_url), self.current.kid)

    def bearer(self, service_url: str) -> str:
        return f"Bearer {self.token(service_url)}"


def claims(service_url: str) -> Json:
    now = int(time.time())
    return {"iss": ISSUER, "aud": APP_ID, "nbf": now - 60, "exp": now + 3600, "serviceurl": service_url}


def signed(said: Json, key: str, *, headers: Json | None = None) -> str:
    """A token signed by the key of that name, under its own kid but for ``headers``."""
    return jwt.encode(said, private_key(key), algorithm="RS256", headers={"kid": key, "x5t": key, **(headers or {})})
