"""Who somebody in Teams is: one person under one address, or a refusal with a reason; their groups; their chat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from bot.accounts import UnknownPerson
from bot.directory import Directory
from bot.platform import NobodyThere
from bot.teams import roster
from bot.teams.graph import Graph
from bot.teams.people import NOT_SEEN, People, trusts
from bot.teams.roster import Member, principal, refusal
from bot.teams.rosters import MOST_SINGLE, NOT_THERE
from holdpoint.errors import ChannelError, ChannelUnavailable
from holdpoint.live import Live
from holdpoint.policy.groups import TeamsTerms
from holdpoint.store import Store
from holdpoint.store.conversations import ConversationKind
from tests.bot.teams.outward import Outward, outward
from tests.conftest import MovingClock
from tests.fakes.teams import FakeTeams, channel_id, personal_id
from tests.fakes.teams.things import OTHER_TENANT, TENANT, Person

POLICY = """
version: 1
defaults: {{verdict: allow}}
groups:
  security: {{members: [sam@example.com]}}
  oncall: {{teams_team: "{team}"}}
  nowhere: {{teams_team: "19:nowhere@thread.tacv2"}}
  entra: {{entra_group: {entra}}}
  other: {{entra_group: 99999999-0000-4000-8000-000000000000}}
{more}
"""
GUESTS = "teams: {guests: true}"
TENANTS = f"teams: {{tenants: [{OTHER_TENANT}]}}"


@dataclass
class Town:
    """Everybody, and the bot's ways to know them."""

    teams: FakeTeams
    out: Outward
    people: People
    live: Live
    clock: MovingClock

    async def push(self, more: str = "") -> None:
        config = self.live._store.config
        text = POLICY.format(
            team=channel_id("General"), entra=await self.teams.add_entra_group("eng", "kim"), more=more
        )
        stored = await config.policy()
        await config.push_policy(text, expect=stored.version if stored else 0, by="test")
        await self.live.look()

    def saw(self, person: Person, place: str = "security", *, tenant: str = "") -> str:
        user = f"{tenant or person.tenant}/{person.aad}"
        conversation = self.teams.conversation(place)
        self.people.seen(user_id=user, member=person.id, conversation=f"{conversation};messageid=1")
        return user

    async def who(self, person: Person, place: str = "security", *, tenant: str = "") -> str:
        """The address of somebody who acted in ``place``, or why they have none."""
        try:
            found = await self.people.look_up(self.saw(person, place, tenant=tenant))
        except UnknownPerson as error:
            return str(error)
        return found.email if found else "no address"

    async def groups(self, key: str) -> set[str]:
        found = await self.people.look_up(self.saw(self.teams.people[key]))
        assert found is not None
        return set(found.groups)


@pytest.fixture
async def town(teams: FakeTeams, store: Store, clock: MovingClock) -> AsyncIterator[Town]:
    live = Live(store, clock=clock)
    async with outward(teams, store, clock=clock) as out:
        graph = Graph(teams.url, out.credentials, clock=clock)
        await graph.start()
        people = People(out.connector, out.places, live, home=teams.tenant, clock=clock, entra=graph)
        town = Town(teams, out, people, live, clock)
        await town.push()
        yield town
        await graph.aclose()


async def test_a_member_is_their_e_mail(town: Town) -> None:
    sam = town.teams.people["sam"]
    found = await town.people.look_up(town.saw(sam))
    assert found is not None
    assert (found.id, found.email, found.name) == (sam.user, "sam@example.com", "Sam Example")


async def test_the_directory_gives_them_the_policys_groups(town: Town) -> None:
    user = town.saw(town.teams.people["sam"])
    reviewer = await Directory(town.live, clock=town.clock).by_platform(town.people, "teams", user)
    assert (reviewer.principal, reviewer.address) == ("sam@example.com", user)
    assert reviewer.groups == {"security", "oncall"}


async def test_who_has_no_e_mail_is_their_upn_and_who_has_neither_is_nobody(town: Town) -> None:
    await town.teams.user("sam").change(email=None, upn="Sam@Tenant.Example")
    await town.teams.user("kim").change(email="KIM@Example.COM", upn="kim@tenant.example")
    await town.teams.user("lee").change(email=None, upn=None)
    people = town.teams.people
    assert await town.who(people["sam"]) == "sam@tenant.example"
    assert await town.who(people["kim"]) == "kim@example.com"
    assert await town.who(people["lee"]) == "no address"


async def test_an_older_roster_calls_the_object_differently(town: Town) -> None:
    await town.teams.set(old_rosters=True)
    assert await town.who(town.teams.people["sam"]) == "sam@example.com"


@pytest.mark.promise(5)
async def test_a_display_name_or_a_member_id_is_nobody(town: Town) -> None:
    sam, ola = town.teams.people["sam"], town.teams.people["ola"]
    await town.teams.user("ola").change(name="Sam Example")
    assert await town.who(ola) == "ola@example.com"
    town.people.seen(user_id=sam.user, member=ola.id, conversation=channel_id("security"))
    with pytest.raises(UnknownPerson, match="somebody else"):
        await town.people.look_up(sam.user)


@pytest.mark.promise(5)
@pytest.mark.parametrize(
    ("more", "answer"),
    [("", roster.GUEST), (TENANTS, roster.GUEST), (GUESTS, "gus@partner.example")],
)
async def test_guests_count_where_the_policy_says_so(town: Town, more: str, answer: str) -> None:
    await town.push(more)
    gus = await town.teams.add_guest("gus")
    await town.teams.join("security", "gus", tell=False)
    assert await town.who(gus) == answer


@pytest.mark.promise(5)
@pytest.mark.parametrize(
    ("more", "answer"),
    [("", roster.STRANGER), (GUESTS, roster.STRANGER), (TENANTS, "tom@other.example")],
)
@pytest.mark.parametrize("at_home", [True, False], ids=["in our channel", "in theirs"])
async def test_people_of_other_tenants_count_by_their_upn_where_the_policy_says_so(
    town: Town, more: str, answer: str, at_home: bool
) -> None:
    await town.push(more)
    tom = await town.teams.add_person("tom", email="sam@example.com", upn="tom@other.example", tenant=OTHER_TENANT)
    await town.teams.join("security", "tom", tell=False)
    assert await town.who(tom, tenant=TENANT if at_home else OTHER_TENANT) == answer


@pytest.mark.promise(5)
async def test_another_tenants_word_on_our_people_is_not_taken(town: Town) -> None:
    assert await town.who(town.teams.people["sam"], tenant=OTHER_TENANT) == roster.STRANGER


@pytest.mark.promise(5)
async def test_bots_anonymous_people_strangers_and_leavers_are_nobody(town: Town) -> None:
    bot = await town.teams.add_bot("robo")
    await town.teams.join("security", "robo", tell=False)
    ann = await town.teams.add_anonymous("ann")
    await town.teams.join("huddle", "ann", tell=False)
    sam = town.teams.people["sam"]
    assert await town.who(replace(bot, role="user")) == roster.BOT
    town.people.seen(user_id="", member=ann.id, conversation=channel_id("security"))
    with pytest.raises(UnknownPerson, match="anonymous"):
        await town.people.look_up("")
    assert await town.who(ann, "huddle") == roster.ANONYMOUS
    with pytest.raises(UnknownPerson, match=NOT_SEEN):
        await town.people.look_up(f"{TENANT}/{town.teams.people['lee'].aad}")
    await town.teams.user("sam").change(disabled=True)
    assert await town.who(sam) == NOT_THERE
    await town.teams.leave("huddle", "kim", tell=False)
    assert await town.who(town.teams.people["kim"], "huddle") == NOT_THERE


ENTRY: dict[str, Any] = {
    "id": "29:x", "aadObjectId": "aaa", "tenantId": TENANT, "userRole": "user", "email": "Sam@Example.com",
    "userPrincipalName": "sam@upn.example", "name": "Sam",
}  # fmt: skip


@pytest.mark.promise(5)
@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, ""),
        ({"tenantId": TENANT.upper(), "userRole": "User"}, ""),
        ({"userRole": None}, ""),
        ({"userRole": None, "userPrincipalName": None}, roster.UNSAID),
        ({"userRole": None, "userPrincipalName": "s_x#EXT#@t.example"}, roster.GUEST),
        ({"userPrincipalName": "s_x#ext#@t.example"}, roster.GUEST),
        ({"email": "s_x#EXT#@t.example"}, roster.GUEST),
        ({"userRole": "owner of the world"}, roster.UNSAID),
        ({"userRole": 5, "userPrincipalName": ""}, roster.UNSAID),
        ({"userRole": "anonymous"}, roster.ANONYMOUS),
        ({"aadObjectId": None}, roster.ANONYMOUS),
        ({"aadObjectId": ["aaa"]}, roster.ANONYMOUS),
        ({"tenantId": None}, roster.NO_TENANT),
        ({"tenantId": OTHER_TENANT}, roster.STRANGER),
        ({"id": "28:x"}, roster.BOT),
    ],
)
def test_who_counts(changes: dict[str, Any], why: str) -> None:
    assert refusal(Member.of({**ENTRY, **changes}), home=TENANT, terms=TeamsTerms()) == why


@pytest.mark.parametrize(
    ("changes", "address"),
    [
        ({}, "sam@example.com"),
        ({"email": None}, "sam@upn.example"),
        ({"email": "no address"}, "sam@upn.example"),
        ({"email": "<b>@example.com"}, "sam@upn.example"),
        ({"email": "a@b@c"}, "sam@upn.example"),
        ({"email": "a\u202e@b.example"}, "sam@upn.example"),
        ({"email": "a" * 300 + "@b.example", "userPrincipalName": 7}, ""),
        ({"tenantId": OTHER_TENANT}, "sam@upn.example"),
        ({"tenantId": OTHER_TENANT, "userPrincipalName": ""}, ""),
        ({"userRole": "guest", "userPrincipalName": "x#EXT#@t.example"}, "sam@example.com"),
        ({"userRole": "guest", "email": "", "userPrincipalName": "x#EXT#@t.example"}, ""),
        ({"userRole": "guest", "email": "x#EXT#@t.example"}, ""),
    ],
)
def test_which_address(changes: dict[str, Any], address: str) -> None:
    assert principal(Member.of({**ENTRY, **changes}), home=TENANT) == address


@pytest.mark.promise(5)
def test_a_guest_is_one_of_the_home_tenant() -> None:
    terms = TeamsTerms(guests=True, tenants=frozenset({OTHER_TENANT}))
    guest = {**ENTRY, "userRole": "guest", "userPrincipalName": "x#EXT#@t.example"}
    assert refusal(Member.of(guest), home=TENANT, terms=terms) == ""
    assert refusal(Member.of({**guest, "tenantId": OTHER_TENANT}), home=TENANT, terms=terms) == roster.GUEST


def test_without_a_home_nobody_counts() -> None:
    assert refusal(Member.of(ENTRY), home="", terms=TeamsTerms()) == roster.STRANGER
    assert refusal(Member.of({**ENTRY, "tenantId": ""}), home="", terms=TeamsTerms(guests=True)) == roster.NO_TENANT


async def test_whose_conversations_are_kept(town: Town) -> None:
    is_trusted = trusts(TENANT, town.live)
    assert (is_trusted(TENANT), is_trusted(OTHER_TENANT), is_trusted("")) == (True, False, False)
    await town.push(TENANTS)
    assert is_trusted(OTHER_TENANT)
    assert not trusts("", town.live)("")


@pytest.mark.promise(5)
async def test_what_teams_said_holds_for_a_minute_and_policy_at_once(town: Town) -> None:
    gus = await town.teams.add_guest("gus")
    await town.teams.join("security", "gus", tell=False)
    await town.push(GUESTS)
    assert await town.who(gus) == "gus@partner.example"
    await town.push()
    assert await town.who(gus) == roster.GUEST
    sam = town.teams.people["sam"]
    assert await town.who(sam) == "sam@example.com"
    await town.teams.user("sam").change(email="sam.new@example.com")
    assert await town.who(sam) == "sam@example.com"
    town.clock.forward(seconds=61)
    assert await town.who(sam) == "sam.new@example.com"
    assert len(await town.teams.calls("member", place="General")) == 3


async def test_a_roster_that_cannot_be_had_is_an_error_and_not_remembered(town: Town) -> None:
    await town.teams.trouble("General", "BotNotInConversationRoster")
    with pytest.raises(ChannelError):
        await town.who(town.teams.people["sam"])
    await town.teams.trouble("General", "")
    assert await town.who(town.teams.people["sam"]) == "sam@example.com"


async def test_sixty_who_open_a_channel_at_once_are_looked_up_together(town: Town) -> None:
    many = [await town.teams.add_person(f"p{number}") for number in range(60)]
    for person in many:
        await town.teams.join("security", person.key, tell=False)
    found = await asyncio.gather(*(town.who(person) for person in many))
    assert found == [person.email for person in many]
    assert len(await town.teams.calls("member", place="General")) == MOST_SINGLE
    assert len(await town.teams.calls("pagedmembers", place="General")) == 1


# groups


async def test_a_teams_members_are_in_its_group(town: Town) -> None:
    assert await town.groups("ola") == {"oncall"}
    out = await town.teams.add_person("otto")
    await town.teams.join("huddle", "otto", tell=False)
    found = await town.people.look_up(town.saw(out, "huddle"))
    assert found is not None
    assert found.groups == set()


async def test_a_membership_ends_within_a_minute(town: Town) -> None:
    town.saw(town.teams.people["ola"], "huddle")
    assert await town.groups("ola") == {"oncall"}
    await town.teams.leave("security", "ola", tell=False)
    town.clock.forward(seconds=61)
    found = await town.people.look_up(town.saw(town.teams.people["ola"], "huddle"))
    assert found is not None
    assert found.groups == set()


@pytest.mark.promise(5)
async def test_a_roster_that_does_not_come_is_no_membership(town: Town) -> None:
    ola = town.teams.people["ola"]
    await town.teams.fail("pagedmembers", status=403, code="BotNotInConversationRoster", times=2)
    found = await town.people.look_up(town.saw(ola, "huddle"))
    assert found is not None
    assert (found.email, found.groups) == ("ola@example.com", frozenset())
    found = await town.people.look_up(town.saw(ola, "huddle"))
    assert found is not None


async def test_an_entra_groups_members_are_in_its_group(town: Town) -> None:
    assert await town.groups("kim") == {"oncall", "entra"}
    assert await town.groups("sam") == {"oncall"}


@pytest.mark.promise(5)
@pytest.mark.parametrize("allowed", [True, False])
async def test_graph_that_does_not_answer_is_no_membership(town: Town, allowed: bool) -> None:
    if allowed:
        await town.teams.fail("graph", status=503, code="ServiceUnavailable")
    else:
        await town.teams.set(graph_allowed=False)
    assert await town.groups("kim") == {"oncall"}


async def test_graph_is_not_asked_about_people_of_other_tenants(town: Town) -> None:
    await town.push(TENANTS)
    tom = await town.teams.add_person("tom", upn="tom@other.example", tenant=OTHER_TENANT)
    await town.teams.join("security", "tom", tell=False)
    before = await town.teams.count("graph")
    assert await town.who(tom, tenant=TENANT) == "tom@other.example"
    assert await town.teams.count("graph") == before


# whom to call, and where


async def test_members_come_in_the_order_asked_for(town: Town) -> None:
    people = town.teams.people
    asked = ["lee@example.com", "nobody@example.com", "", "SAM@example.com", "lee@example.com"]
    found = await town.people.members_of(channel_id("security"), asked)
    assert found == [(people["lee"].id, "Lee Example"), (people["sam"].id, "Sam Example")]
    await town.people.members_of(channel_id("security"), ["kim@example.com"])
    assert len(await town.teams.calls("pagedmembers", place="General")) == 1


async def test_who_does_not_count_is_not_called(town: Town) -> None:
    await town.teams.add_guest("gus")
    await town.teams.join("security", "gus", tell=False)
    assert await town.people.members_of(channel_id("security"), ["gus@partner.example"]) == []
    assert await town.people.address_of(channel_id("security"), town.teams.people["gus"].id) == ""
    assert await town.people.address_of(channel_id("security"), town.teams.people["kim"].id) == "kim@example.com"
    assert await town.people.address_of(channel_id("security"), "29:nobody") == ""


async def test_a_roster_that_does_not_come_calls_nobody(town: Town) -> None:
    await town.teams.trouble("General", "BotDisabledByAdmin")
    assert await town.people.members_of(channel_id("security"), ["sam@example.com"]) == []


async def test_who_acts_in_their_chat_is_found_there(town: Town) -> None:
    await town.out.learn(personal_id("kim"), by="kim")
    assert await town.who(town.teams.people["kim"], personal_id("kim")) == "kim@example.com"
    chat = await town.people.personal("Kim@example.com")
    assert (chat.id, chat.kind, chat.person) == (personal_id("kim"), ConversationKind.PERSONAL, "kim@example.com")
    assert await town.teams.calls("create") == []


async def test_a_chat_is_opened_with_who_has_not_spoken_yet(town: Town) -> None:
    chat = await town.people.personal("lee@example.com")
    assert (chat.id, chat.member) == (personal_id("lee"), town.teams.people["lee"].id)
    assert chat == await town.people.personal("lee@example.com")
    assert len(await town.teams.calls("create")) == 1
    assert await town.out.connector.post(chat.id, {"type": "message", "text": "hello"})


async def test_an_address_that_passed_on_leads_to_its_new_owner(town: Town) -> None:
    assert (await town.people.personal("lee@example.com")).id == personal_id("lee")
    await town.teams.user("lee").change(email="lee.old@example.com", upn="lee.old@example.com")
    await town.teams.user("ola").change(email="lee@example.com")
    town.clock.forward(seconds=61)
    assert (await town.people.personal("lee@example.com")).id == personal_id("ola")


@pytest.mark.parametrize("what", ["not installed", "nobody", "a guest"])
async def test_who_cannot_be_written_to(town: Town, what: str) -> None:
    await town.teams.add_guest("gus")
    await town.teams.join("security", "gus", tell=False)
    await town.teams.user("lee").uninstall(tell=False)
    address = {"not installed": "lee@example.com", "nobody": "x@example.com", "a guest": "gus@partner.example"}[what]
    with pytest.raises(NobodyThere):
        await town.people.personal(address)


async def test_while_a_roster_cannot_be_had_nobody_is_missing(town: Town) -> None:
    await town.teams.fail("pagedmembers", status=503, code="ServiceError", times=50)
    with pytest.raises(ChannelUnavailable):
        await town.people.personal("lee@example.com")
