"""A browser's virtual authenticator, by the DevTools protocol: real passkeys without a finger.

https://chromedevtools.github.io/devtools-protocol/tot/WebAuthn/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from playwright.async_api import CDPSession, Page


@dataclass
class Authenticator:
    """One device. ``verifies``: whether its user is who it belongs to."""

    session: CDPSession
    id: str

    @classmethod
    async def of(cls, page: Page) -> Authenticator:
        """A device of this page's browser that has a PIN and uses it."""
        session = await page.context.new_cdp_session(page)
        await session.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
            "isUserVerified": True, "automaticPresenceSimulation": True,
        }  # fmt: skip
        made = await session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        return cls(session, str(made["authenticatorId"]))

    async def verifies(self, is_verified: bool) -> None:
        await self._send("setUserVerified", isUserVerified=is_verified)

    async def credentials(self) -> list[dict[str, Any]]:
        """Its passkeys, with private key and counter: what somebody would copy."""
        found: list[dict[str, Any]] = (await self._send("getCredentials"))["credentials"]
        return found

    async def put(self, credential: dict[str, Any]) -> None:
        """A copy of a passkey on this device."""
        await self._send("addCredential", credential=credential)

    async def clear(self) -> None:
        await self._send("clearCredentials")

    async def _send(self, method: str, **given: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await self.session.send(f"WebAuthn.{method}", {"authenticatorId": self.id, **given})
        return answer
