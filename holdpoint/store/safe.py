"""The safe: what is written to Redis and must not be readable there (tokens of other workspaces) is locked with a key.

Fernet: AES-128-CBC and HMAC-SHA-256 with a random start and the time, so that nobody without the key can read a value,
change one, or tell two equal ones. Keys are rotated by putting the new one in front: it locks from then on, and the
earlier ones still open.
"""

from __future__ import annotations

import binascii

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr

from holdpoint.errors import ConfigurationError

VARIABLE = "HOLDPOINT_SECRET_KEY"
HOW = "make one with `openssl rand -base64 32`"


class Safe:
    """Locks and opens short texts."""

    def __init__(self, keys: SecretStr | None) -> None:
        """``keys``: 32 bytes each, as base64, separated by commas; the first one locks.

        Raises:
            ConfigurationError: none, or one that is no key. The message has no part of it.
        """
        texts = [part.strip() for part in (keys.get_secret_value() if keys else "").split(",") if part.strip()]
        if not texts:
            raise ConfigurationError(f"{VARIABLE}: not set; {HOW}")
        try:
            self._cipher = MultiFernet([Fernet(text) for text in texts])
        except (ValueError, binascii.Error):
            raise ConfigurationError(f"{VARIABLE}: each key must be 32 bytes as base64; {HOW}") from None

    def lock(self, secret: SecretStr) -> str:
        """``secret``, unreadable."""
        return self._cipher.encrypt(secret.get_secret_value().encode()).decode()

    def open(self, locked: str) -> SecretStr:
        """What was locked.

        Raises:
            ConfigurationError: none of the keys opens it, or somebody changed it.
        """
        try:
            return SecretStr(self._cipher.decrypt(locked.encode()).decode())
        except InvalidToken:
            raise ConfigurationError(
                f"{VARIABLE}: does not open what is stored; put the earlier key back, behind a comma"
            ) from None
