"""``home`` in Teams: one's queue, one's requests, how things stand; within Teams' limits, whatever the texts say."""

from __future__ import annotations

import pytest

from bot.cards import card_view
from bot.dashboard import MOST_OWN, MOST_QUEUED, Dashboard, Overview
from bot.teams.elements import ENVELOPE_BYTES, MOST_BYTES, size_bytes
from bot.teams.home import MOST_ITEMS, home_card
from holdpoint.clock import now_ms
from holdpoint.model import Requester, Reviewer, Role
from holdpoint.policy.mask import Masks
from holdpoint.store.cards import Failing
from holdpoint.store.quiet import Quiet
from tests.bot.teams.test_commands import ask, ask_in
from tests.bot.teams.world import World

NASTY = "**b** <at>all</at> [x](https://evil.example) \u202e&nbsp;{{DATE(2020-01-01T00:00:00Z)}} \U0001f512"


async def test_a_reviewers_page_has_what_waits_for_them(world: World) -> None:
    hold = await world.hold("the password is swordfish")
    page = await ask(world, "sam", "home")
    assert "For you to decide: 1" in page.seen
    assert all(word in page.seen for word in (hold.id, "swordfish", "sam@example.com"))
    assert "How things stand" not in page.seen
    opened = await world.user("sam").click(page, "View full")
    assert opened.kind == "dialog"
    assert "swordfish" in opened.seen
    assert "For you to decide: 1" in (await world.teams.message(page)).seen


async def test_a_requesters_page_has_their_requests(world: World) -> None:
    hold = await world.hold("the password is swordfish")
    page = await ask(world, "dana", "Home", "Your requests")
    assert "Your requests" in page.seen
    assert hold.id in page.seen
    assert "Approve" not in page.titles


async def test_an_admins_page_says_how_things_stand(world: World) -> None:
    await world.hold()
    page = await ask(world, "lee", "/holdpoint home")
    assert "How things stand" in page.seen
    assert "Held now  1" in page.seen


async def test_in_a_channel_it_comes_to_ones_own_chat(world: World) -> None:
    hold = await world.hold("the password is swordfish")
    await world.card(hold)
    reply, page = await ask_in(world, "sam", "security", "home")
    assert page is not None
    assert "swordfish" in page.seen
    assert "swordfish" not in reply.seen


async def test_a_stranger_has_none(world: World) -> None:
    await world.teams.add_guest("gus")
    await world.teams.join("security", "gus")
    reply, _ = await ask_in(world, "gus", "security", "home")
    assert "Guests" in reply.seen


@pytest.mark.parametrize("length", [1, 40, 4_000])
async def test_the_fullest_page_fits(world: World, length: int) -> None:
    now = now_ms()
    groups = frozenset(f"{NASTY * length}{number}"[:200] for number in range(20))
    hold = await world.hold(NASTY * length, requester=Requester("x@example.com", groups))
    view = card_view(hold, now_ms=now, link_base="https://holdpoint.test", masks=Masks(), limit=300)
    failing = tuple(Failing(f"teams:{NASTY}{number}", NASTY * 20, now) for number in range(12))
    page = Dashboard(
        Reviewer("x@example.com", groups, frozenset({Role.ADMIN}), "teams"), (view,) * MOST_QUEUED, 1_000,
        (view,) * MOST_OWN, Quiet.ALL, Overview(3, 2, 1_000, 61_000, failing), frozenset(),
    )  # fmt: skip
    card = home_card(page, url="https://holdpoint.test/review")
    assert size_bytes(card) <= MOST_BYTES - ENVELOPE_BYTES
    shown = str(card).count("'verb': 'view'")
    assert 1 <= shown <= MOST_ITEMS
    assert f"{1_000 - shown} more" in str(card)
