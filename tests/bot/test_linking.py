"""Who may bind which chat account to whom, and that nobody is bound who only followed an address."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from bot.accounts import PlatformUser, UnknownPerson
from bot.directory import Directory, VoidLink
from bot.linking import Linking, MayNotLink, SignedIn
from holdpoint.errors import Conflict, MayNotDecide, NotFound
from holdpoint.linked import Link
from holdpoint.model import Account, EventKind, KeyRecord, Requester, Reviewer, Role
from holdpoint.policy import authority
from tests.bot.world import World
from tests.conftest import MovingClock
from tests.support.builders import make_draft

SAM, KIM, EVE, DANA = (f"{name}@example.com" for name in ("sam", "kim", "eve", "dana"))
MALLORY = PlatformUser("U0MAL", "mallory@chat.example", "Mallory", place="T1")
SAMS = PlatformUser("U0SAM", "sam@chat.example", "Sam", place="T1")


@dataclass
class Chat:
    """A platform whose people a test changes."""

    users: dict[str, PlatformUser] = field(default_factory=lambda: {u.id: u for u in (MALLORY, SAMS)})

    async def look_up(self, user_id: str, *, fresh: bool = False) -> PlatformUser | None:
        assert fresh or user_id
        return self.users.get(user_id)


@dataclass
class Town:
    world: World
    linking: Linking
    directory: Directory
    chat: Chat

    async def typed(self, user: PlatformUser) -> Reviewer:
        return await self.directory.by_platform(self.chat, "slack", user.id, fresh=True)

    async def account(self, user: PlatformUser) -> Account:
        account = (await self.typed(user)).account
        assert account is not None
        return account

    async def begin(self, user: PlatformUser) -> str:
        return (await self.linking.begin(await self.account(user))).removeprefix("/link/")

    async def signed_in(self, who: str) -> SignedIn:
        key = self.world.keys[who]
        reviewer = await self.directory.by_key(key, channel="web")
        record = next(r for r in self.world.live.snapshot.keys.values() if r.id == key.split("_")[1])
        return SignedIn(reviewer, f"key {record.id}", record.digest)

    async def link(self, user: PlatformUser, who: str) -> Link:
        token = await self.begin(user)
        _, code = await self.linking.confirm(token, await self.signed_in(who))
        return await self.linking.finish(await self.account(user), code)

    async def kinds(self) -> list[EventKind]:
        events = await self.world.store.outbox.follow("events", after="0", block_ms=1)
        return [each.kind for each in events if each.kind.value.startswith("link.")]


@pytest.fixture
async def town(world: World, clock: MovingClock) -> Town:
    directory = Directory(world.live, clock=clock, links=world.store.links)
    return Town(world, Linking(world.store, world.live, clock=clock), directory, Chat())


async def test_an_account_becomes_who_signed_in_and_typed_the_code(town: Town) -> None:
    before = await town.typed(SAMS)
    assert (before.principal, before.groups, before.aliases) == ("sam@chat.example", frozenset(), frozenset())
    link = await town.link(SAMS, SAM)
    assert (link.principal, link.email_then, link.name, link.by[:4]) == (SAM, "sam@chat.example", "Sam", "key ")
    after = await town.typed(SAMS)
    assert after.principal == SAM
    assert after.groups == {"security"}
    assert after.roles == {Role.REVIEWER}
    assert after.aliases == {"sam@chat.example"}
    assert after.account == Account("slack", "T1", "U0SAM", "Sam", "sam@chat.example")
    assert await town.kinds() == [EventKind.LINK_MADE]


async def test_the_platforms_own_groups_stay(town: Town) -> None:
    town.chat.users[SAMS.id] = replace(SAMS, groups=frozenset({"oncall"}))
    await town.link(SAMS, SAM)
    assert (await town.typed(SAMS)).groups == {"security", "oncall"}


@pytest.mark.promise(5)
async def test_a_forwarded_address_binds_nothing_however_often_the_victim_says_yes(town: Town) -> None:
    """Mallory types link, and sends Sam the address; Sam follows it, signed in, and presses the button."""
    sent = await town.begin(MALLORY)
    victim = await town.signed_in(SAM)
    assert (await town.linking.look(sent, victim)).email == MALLORY.email
    _, shown_to_sam = await town.linking.confirm(sent, victim)
    assert (await town.typed(MALLORY)).principal == MALLORY.email
    # Mallory has no code. Guessing ends soon, and what Sam saw does not help anybody else's account.
    mallory = await town.account(MALLORY)
    refused = 0
    wrong = shown_to_sam.translate(str.maketrans("0123456789", "1234567890"))
    for guess in ("", "0", "00000000", "1234-5678", wrong):
        with pytest.raises((MayNotLink, Conflict)):
            await town.linking.finish(mallory, guess)
        refused += 1
    with pytest.raises(MayNotLink):
        await town.linking.finish(mallory, shown_to_sam)  # even the right one, after so many
    assert refused == 5
    assert (await town.typed(MALLORY)).principal == MALLORY.email
    assert await town.kinds() == []


@pytest.mark.promise(5)
async def test_a_code_counts_from_the_very_account_only(town: Town) -> None:
    _, code = await town.linking.confirm(await town.begin(SAMS), await town.signed_in(SAM))
    with pytest.raises(MayNotLink):
        await town.linking.finish(await town.account(MALLORY), code)
    link = await town.linking.finish(await town.account(SAMS), f" {code[:4]} {code[5:]} ")
    assert link.user_id == SAMS.id


async def test_an_address_serves_once(town: Town) -> None:
    token, who = await town.begin(SAMS), await town.signed_in(SAM)
    await town.linking.confirm(token, who)
    for again in (town.linking.confirm, town.linking.look):
        with pytest.raises(NotFound):
            await again(token, who)
    with pytest.raises(NotFound):
        await town.linking.look("never-given-out", who)


@pytest.mark.promise(5)
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"owner": KIM}, "agent's key"),
        ({"principal": "nightly-build"}, "no e-mail"),
        ({"principal": "\u212aim@example.com"}, "no e-mail"),
        ({"principal": SAMS.email}, "you already"),
        ({"roles": frozenset()}, "may do less"),
        ({"principal": "ada@example.com", "roles": frozenset({Role.REVIEWER})}, "may do less"),
    ],
)
async def test_who_may_not_be_linked(town: Town, changes: dict[str, object], words: str) -> None:
    who = await town.signed_in(SAM)
    reviewer = replace(who.reviewer, **changes)  # type: ignore[arg-type]
    token = await town.begin(SAMS)
    for step in (town.linking.look, town.linking.confirm):
        with pytest.raises(MayNotLink, match=words):
            await step(token, replace(who, reviewer=reviewer))
    assert await town.world.store.links.begun(token) is not None


@pytest.mark.promise(5)
async def test_a_key_that_is_limited_to_networks_does_not_link(town: Town) -> None:
    who = await town.signed_in(SAM)
    (record,) = (r for r in town.world.live.snapshot.keys.values() if r.digest == who.key_digest)
    limited: KeyRecord = replace(record, id="limited0", digest="0" * 64, networks=("192.0.2.0/24",))
    await town.world.store.config.put_key(limited)
    await town.world.live.look()
    with pytest.raises(MayNotLink, match="may do less"):
        await town.linking.look(await town.begin(SAMS), replace(who, key_digest=limited.digest))


@pytest.mark.promise(5)
async def test_what_changes_between_page_and_chat_counts(town: Town) -> None:
    who = await town.signed_in(SAM)
    _, code = await town.linking.confirm(await town.begin(SAMS), who)
    moved = replace(await town.account(SAMS), email="other@chat.example")
    with pytest.raises(MayNotLink, match="has changed"):
        await town.linking.finish(moved, code)
    _, code = await town.linking.confirm(await town.begin(SAMS), who)
    await town.world.store.config.revoke_key(who.by.removeprefix("key "), by="test")
    await town.world.live.look()
    with pytest.raises(MayNotLink, match="not valid any more"):
        await town.linking.finish(await town.account(SAMS), code)


@pytest.mark.promise(5)
@pytest.mark.parametrize("by_key", [True, False])
async def test_a_session_that_was_ended_meanwhile_links_nothing(town: Town, *, by_key: bool) -> None:
    who, sessions = await town.signed_in(SAM), town.world.store.sessions
    digest = who.key_digest if by_key else ""
    _, session = await sessions.start(key_digest=digest, principal=SAM)
    who = replace(who, key_digest=digest, session=session.id)
    _, code = await town.linking.confirm(await town.begin(SAMS), who)
    await sessions.end_all(SAM, by="ada@example.com", reason="stolen")
    with pytest.raises(MayNotLink, match="signed out"):
        await town.linking.finish(await town.account(SAMS), code)
    assert await town.kinds() == []
    _, session = await sessions.start(key_digest=digest, principal=SAM)
    _, code = await town.linking.confirm(await town.begin(SAMS), replace(who, session=session.id))
    assert (await town.linking.finish(await town.account(SAMS), code)).principal == SAM


async def test_what_a_bot_remembers_from_before_a_link_does_not_void_it(town: Town, clock: MovingClock) -> None:
    other_bot = Directory(town.world.live, clock=clock, links=town.world.store.links)
    assert (await other_bot.by_platform(town.chat, "slack", SAMS.id)).principal == SAMS.email
    town.chat.users[SAMS.id] = replace(SAMS, email="sam@new.example")
    await town.link(SAMS, SAM)
    assert (await other_bot.by_platform(town.chat, "slack", SAMS.id)).principal == SAM
    assert await town.kinds() == [EventKind.LINK_MADE]


async def test_one_account_is_one_principal_and_unlinking_comes_first(town: Town) -> None:
    await town.link(SAMS, SAM)
    account = await town.account(SAMS)
    with pytest.raises(MayNotLink, match="unlink"):
        await town.linking.begin(account)
    link = town.world.live.snapshot.linked.of("slack", SAMS.id)
    assert link is not None
    await town.linking.remove(link, by=SAM)
    assert (await town.typed(SAMS)).principal == SAMS.email
    assert (await town.link(SAMS, KIM)).principal == KIM


async def test_an_address_from_before_a_link_does_not_bind_it_anew(town: Town) -> None:
    first, second = await town.begin(SAMS), await town.begin(SAMS)
    _, code = await town.linking.confirm(first, await town.signed_in(SAM))
    await town.linking.finish(await town.account(SAMS), code)
    with pytest.raises(MayNotLink, match="unlink"):
        await town.linking.confirm(second, await town.signed_in(KIM))


async def test_one_principal_has_several_accounts(town: Town) -> None:
    await town.link(SAMS, SAM)
    await town.link(MALLORY, SAM)
    for user in (SAMS, MALLORY):
        reviewer = await town.typed(user)
        assert reviewer.principal == SAM
        assert reviewer.aliases == {SAMS.email, MALLORY.email}


@pytest.mark.promise(5)
@pytest.mark.parametrize("changes", [{"email": "sam@new.example"}, {"place": "T2"}])
async def test_an_account_that_has_changed_is_not_the_one_that_was_linked(
    town: Town, changes: dict[str, str]
) -> None:  # fmt: skip
    await town.link(SAMS, SAM)
    town.chat.users[SAMS.id] = replace(SAMS, **changes)  # type: ignore[arg-type]
    with pytest.raises(UnknownPerson, match="type link"):
        await town.typed(SAMS)
    assert await town.kinds() == [EventKind.LINK_MADE, EventKind.LINK_VOIDED]
    now = await town.typed(SAMS)
    assert (now.principal, now.groups) == (changes.get("email", SAMS.email), frozenset())
    # What it was still forbids: neither address decides on the other's requests.
    assert now.aliases | {now.principal} >= {SAM, SAMS.email}
    # Nor does the old address bring the link back; only linking does.
    town.chat.users[SAMS.id] = SAMS
    assert (await town.typed(SAMS)).principal == SAMS.email
    assert (await town.link(SAMS, SAM)).voided_ms is None
    assert (await town.typed(SAMS)).principal == SAM


@pytest.mark.promise(5)
async def test_a_display_name_never_counts(town: Town) -> None:
    await town.link(SAMS, SAM)
    town.chat.users[SAMS.id] = replace(SAMS, name="Kim Example")
    assert (await town.typed(SAMS)).principal == SAM
    town.chat.users[MALLORY.id] = replace(MALLORY, name=SAM)
    assert (await town.typed(MALLORY)).principal == MALLORY.email


@pytest.mark.promise(5)
async def test_whoever_is_linked_decides_on_no_request_of_either_side(town: Town) -> None:
    await town.link(SAMS, SAM)
    by_chat, by_key = await town.typed(SAMS), await town.world.who(SAM)
    for principal in (SAM, SAMS.email):
        requester = Requester(principal, frozenset({"contractors"}))
        hold = await town.world.hold_draft(make_draft(requester=requester))
        for reviewer in (by_chat, by_key):
            with pytest.raises(MayNotDecide, match="own request"):
                authority.check_not_own(hold, reviewer)
    assert by_key.aliases == {SAMS.email}


@pytest.mark.promise(5)
@pytest.mark.parametrize(
    "email", ["\u212aim@example.com", "ｋim@example.com", "kim@example.com\u200b", "kim@example.com@x.y"]
)
async def test_an_address_that_could_be_taken_for_another_one_is_nobodys(town: Town, email: str) -> None:
    town.chat.users[MALLORY.id] = replace(MALLORY, email=email)
    with pytest.raises(UnknownPerson, match="could be taken"):
        await town.typed(MALLORY)


async def test_what_changed_is_looked_at_where_a_link_depends_on_it(town: Town) -> None:
    await town.link(SAMS, SAM)
    town.chat.users[SAMS.id] = replace(SAMS, email="sam@new.example")
    town.chat.users[MALLORY.id] = replace(MALLORY, email="m@new.example")
    await town.directory.changed(town.chat, "slack", MALLORY.id)
    with pytest.raises(VoidLink, match="type link"):
        await town.directory.changed(town.chat, "slack", SAMS.id)
    assert await town.kinds() == [EventKind.LINK_MADE, EventKind.LINK_VOIDED]
    await town.directory.changed(town.chat, "slack", SAMS.id)
    assert (await town.typed(SAMS)).principal == "sam@new.example"


@pytest.mark.promise(5)
async def test_where_it_cannot_be_recorded_a_void_link_counts_no_more(town: Town, clock: MovingClock) -> None:
    await town.link(SAMS, SAM)
    town.chat.users[SAMS.id] = replace(SAMS, email="sam@new.example")
    for _ in range(2):
        with pytest.raises(UnknownPerson, match="type link"):
            await Directory(town.world.live, clock=clock).by_platform(town.chat, "slack", SAMS.id)
