"""Mails while people are away: a route to one person leads to their delegate, and a mail says who is not there."""

from __future__ import annotations

from holdpoint.absence import Absence
from tests.bot.email.conftest import POLICY, TEAM, World


async def away(world: World, who: str, delegate: str = "") -> None:
    now_ms = world.clock()
    await world.store.absences.begin(Absence(who, now_ms, now_ms + 86_400_000, who, delegate))
    await world.live.look()


async def test_a_mail_to_one_person_goes_to_their_delegate(world: World) -> None:
    text = POLICY.replace("[sam@example.com]", f"[sam@example.com, {TEAM}]")
    await world.store.config.push_policy(text, expect=1, by="test")
    await away(world, TEAM, "kim@example.com")
    await world.start()
    hold = await world.hold()
    (mail,) = await world.mailed(1, "kim@example.com")
    assert hold.id in mail.part("plain")
    await world.noted()
    assert world.mails() == []


async def test_a_mail_says_that_nobody_is_there(world: World) -> None:
    for who in sorted(world.live.snapshot.policy.groups["security"].members):
        await away(world, who)
    await world.start()
    await world.hold(escalations=())
    (mail,) = await world.mailed(1)
    for kind in ("plain", "html"):
        assert "everybody in security is away, the first until " in " ".join(mail.part(kind).split())
