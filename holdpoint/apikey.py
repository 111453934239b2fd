"""Holdpoint keys: ``hp_<id>_<secret><checksum>``. Pure but for the random source.

The id (8 characters) is public and names the key in lists, logs and records. The secret (32 characters, 190 bits) is
shown once and stored nowhere: Redis has the SHA-256 of the whole key, which needs no salt at that length. The checksum
(6 characters) tells a mistyped or cut key from an unknown one without asking anybody, and lets scanners find leaks.

Keys are found by their digest in a hash table, and never compared character by character. How long that takes tells
something of digests at most; who asks cannot choose a digest that shares more than a few characters with a stored one
(that is a search for a preimage), and a digest does not lead back to a secret of 190 bits. So no time that anybody can
measure brings them closer to a key.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_ALPHABET = string.digits + string.ascii_lowercase
_ID_LENGTH = 8
_SECRET_LENGTH = 32
_CHECKSUM_LENGTH = 6
PATTERN = rf"hp_[0-9a-z]{{{_ID_LENGTH}}}_[0-9A-Za-z]{{{_SECRET_LENGTH + _CHECKSUM_LENGTH}}}"
"""What scanners look for; docs/keys.md has it, too."""
_FORM = re.compile(rf"{PATTERN}\Z")
_ID = re.compile(rf"[0-9a-z]{{{_ID_LENGTH}}}\Z")
_BEGINNING = "hp_"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key at its only moment in the clear. ``digest`` is what is stored."""

    id: str
    digest: str
    text: str = field(repr=False)


def create() -> NewKey:
    """A new random key."""
    key_id = "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))
    secret = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_LENGTH))
    body = f"hp_{key_id}_{secret}"
    text = body + _checksum(body)
    return NewKey(key_id, digest(text), text)


def digest(text: str) -> str:
    """The SHA-256 (hex) under which a key is stored and looked up."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def key_id(text: str) -> str | None:
    """The id of a well-formed key; None when it is mistyped, cut or something else. Says nothing about validity."""
    if _FORM.match(text) is None or _checksum(text[:-_CHECKSUM_LENGTH]) != text[-_CHECKSUM_LENGTH:]:
        return None
    return _named(text)


def is_mistyped(text: str) -> bool:
    """Whether ``text`` begins as a key does and is none: cut, changed, or with something behind it."""
    return text.startswith(_BEGINNING) and key_id(text) is None


def id_in(text: str) -> str | None:
    """The id that somebody means who gives an id, or the whole key in its place; None when it is neither.

    The rest of such a key has to go no further: neither into an error nor into a record.
    """
    found = _named(text.strip())
    return found if _ID.match(found) else None


def _named(text: str) -> str:
    return text.removeprefix(_BEGINNING).partition("_")[0]


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    letters = ""
    for _ in range(_CHECKSUM_LENGTH):
        number, letter = divmod(number, len(_ALPHABET))
        letters = _ALPHABET[letter] + letters
    return letters
