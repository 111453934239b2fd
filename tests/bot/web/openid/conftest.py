"""A web inbox where people sign in by OpenID Connect, at a provider that can be made to lie at every step."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.bot.web.signing import SECRET, Tab, entry, signing_site, tab
from tests.bot.world import Site
from tests.conftest import MovingClock
from tests.support.oidc import OpenId, running_openid


@pytest.fixture
def person() -> dict[str, object]:
    """Who signs in at the provider."""
    return {"sub": "u-sam", "email": "sam@example.com", "name": "Sam Person"}


@pytest.fixture
async def provider(
    clock: MovingClock, monkeypatch: pytest.MonkeyPatch, person: dict[str, object]
) -> AsyncIterator[OpenId]:
    """A provider of OpenID Connect that can be made to lie at every step."""
    monkeypatch.setenv("OIDC_SECRET", SECRET)
    async with running_openid(clock=clock, person=person) as running:
        yield running


@pytest.fixture
async def site(redis_url: str, tmp_path: Path, clock: MovingClock, provider: OpenId) -> AsyncIterator[Site]:
    """The web inbox, with ``provider`` as the only way to sign in but keys."""
    async with signing_site(redis_url, tmp_path, clock, entry(provider)) as running:
        yield running


@pytest.fixture
async def sam(site: Site) -> AsyncIterator[Tab]:
    """A browser in which nobody is signed in yet."""
    async with tab(site) as made:
        yield made
