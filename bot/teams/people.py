"""Who somebody in Teams is: asked of the roster in which they acted, refused on any doubt (promise 5). What it says is
remembered for a minute; who acts is asked for again.

::

    click ─ seen (conversation, 29:…) ─▶ look_up ─ roster entry ─▶ roster.refusal, roster.principal ─▶ groups: teams, Graph

User ids are ``<tenant>/<aadObjectId>``, both from an activity that the Bot Connector vouches for; the roster's entry has
to name the same two. Which address a person is, and what that trusts, is in `bot.teams.roster`. The members of a team are
in a group where the policy says so (``teams_team``), those of an Entra group where Graph is asked (``entra_group``).
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from bot.accounts import PlatformUser, UnknownPerson
from bot.platform import NobodyThere
from bot.teams import KIND, roster
from bot.teams.arrived import bare
from bot.teams.memberships import EntraGroups, Memberships
from bot.teams.places import Places, teams_of
from bot.teams.roster import Member
from bot.teams.rosters import RosterBook, Rosters
from holdpoint.clock import Clock
from holdpoint.errors import ChannelError, ChannelRefused, ChannelUnavailable
from holdpoint.linked import address_of
from holdpoint.live import Live
from holdpoint.model import Account
from holdpoint.store.conversations import Conversation, ConversationKind

MOST_SEEN = 10_000
NOT_SEEN = "Holdpoint has not met you in Teams yet: click or write to it there."

_log = logging.getLogger(__name__)


class People:
    """Teams' people and their groups; a `bot.accounts.Platform`. Besides ChannelError, Redis may be lost (StoreUnavailable)."""

    def __init__(
        self, rosters: Rosters, places: Places, live: Live, *, home: str, clock: Clock, entra: EntraGroups | None = None
    ) -> None:
        """``home`` is the (lower-case) id of the tenant whose people count; "" for none."""
        self._rosters = rosters
        self._book = RosterBook(rosters, places, clock=clock)
        self._places = places
        self._live = live
        self._home = home
        self._memberships = Memberships(self._book, live, home=home, entra=entra)
        self._seen: OrderedDict[str, tuple[str, str]] = OrderedDict()

    def seen(self, *, user_id: str, member: str, conversation: str) -> None:
        """Somebody acted in ``conversation``, where the roster calls them ``member``: there they can be looked up."""
        self._seen[user_id] = (bare(conversation), member)
        self._seen.move_to_end(user_id)
        while len(self._seen) > MOST_SEEN:
            self._seen.popitem(last=False)

    async def meet(self, user_id: str, principal: str) -> None:
        """Find out where ``user_id`` can be looked up, if they have acted at another bot only: where ``principal`` is.

        Raises:
            ChannelError: Teams could not be asked.
            StoreUnavailable
        """
        if user_id in self._seen:
            return
        with suppress(NobodyThere):
            place, member = await self._anywhere(principal)
            if member.user == user_id:
                self.seen(user_id=user_id, member=member.id, conversation=place.id)

    async def look_up(self, user_id: str, *, fresh: bool = False) -> PlatformUser | None:
        """The person behind ``user_id``, with the groups that teams and Entra groups stand for; None without an address.

        ``fresh``: as the roster says now; teams and Entra groups within the last minute in any case.

        Raises:
            UnknownPerson: a guest, a bot, of another tenant, in no roster …; says what is wrong.
            ChannelError: Teams could not be asked.
            StoreUnavailable: nobody knows where to ask.
        """
        if not user_id:
            raise UnknownPerson(roster.ANONYMOUS)
        where = self._seen.get(user_id)
        if where is None:
            raise UnknownPerson(NOT_SEEN)
        conversation, member_id = where
        if member_id.startswith("28:"):
            raise UnknownPerson(roster.BOT)
        member = await self._book.member(conversation, member_id, fresh=fresh)
        why = self._refusal(member, user_id)
        if why:
            raise UnknownPerson(why)
        address = roster.principal(member, home=self._home)
        if not address:
            return None
        await self._note_personal(conversation, user_id, self._linked(member, address))
        groups = await self._memberships.of(member)
        return PlatformUser(user_id, address, member.name, groups, roster.aliases(member), place=member.tenant)

    async def left(self, conversation: str, members: Sequence[str]) -> list[str]:
        """Teams says that ``members`` (``29:…``) have left: ask again. The user ids of those who had acted there."""
        await self._book.left(bare(conversation), members)
        gone = set(members)
        return [user for user, (_, member) in self._seen.items() if member in gone]

    async def address_of(self, conversation: str, member: str) -> str:
        """The principal of somebody who is mentioned in ``conversation``; empty for nobody that Holdpoint knows.

        Raises:
            ChannelError: Teams could not be asked.
        """
        try:
            found = await self._book.member(bare(conversation), member)
        except UnknownPerson:
            return ""
        return self._address(found)

    async def members_of(self, conversation: str, principals: Sequence[str]) -> list[tuple[str, str]]:
        """Member id (``29:…``) and display name of those of ``principals`` who are in the roster, in their order.

        Where the roster cannot be had it is empty: nobody is called, and cards refresh by hand.
        """
        try:
            known = {self._address(each): each for each in await self._book.members(bare(conversation))}
        except ChannelError as error:
            _log.warning("a roster counts as empty: %s", error)
            return []
        wanted = dict.fromkeys(principal.lower() for principal in principals)
        return [(known[each].id, known[each].name) for each in wanted if each and each in known]

    async def knows(self, principal: str) -> bool:
        """Whether ``principal`` is in some roster that the bot can see.

        Raises:
            ChannelError: Teams could not be asked.
        """
        try:
            await self._anywhere(principal.lower())
        except NobodyThere:
            return False
        return True

    async def personal(self, principal: str) -> Conversation:
        """The chat of the bot with ``principal``, opened if need be.

        Raises:
            NobodyThere: they are nowhere where the bot is, or the app cannot write to them.
            ChannelUnavailable: it cannot be told now.
        """
        known = await self._places.of_person(principal)
        if known is not None and await self._is_still(known, principal):
            return known
        place, member = await self._anywhere(principal.lower())
        try:
            chat = await self._rosters.open_personal(place, member.id)
        except NobodyThere:
            raise
        except ChannelRefused as error:
            raise NobodyThere(str(error)) from error
        opened = replace(
            place, id=bare(chat), kind=ConversationKind.PERSONAL, team="", name=member.name, person=principal.lower(),
            user=member.user, member=member.id,
        )  # fmt: skip
        await self._places.opened(opened)
        return opened

    def _refusal(self, member: Member, user_id: str) -> str:
        tenant, _, person = user_id.partition("/")
        terms = self._live.snapshot.policy.teams
        if member.object and member.object != person:
            return roster.ANOTHER
        if tenant != self._home and tenant not in terms.tenants:
            # Whatever a stranger's conversation says of its members, it is not our tenant that says so.
            return roster.STRANGER
        return roster.refusal(member, home=self._home, terms=terms)

    def _address(self, member: Member) -> str:
        """The principal of an entry; empty for nobody."""
        is_nobody = roster.refusal(member, home=self._home, terms=self._live.snapshot.policy.teams)
        return "" if is_nobody else self._linked(member, roster.principal(member, home=self._home))

    def _linked(self, member: Member, address: str) -> str:
        """Who an entry with ``address`` is, by its link if it has one."""
        account = Account(KIND, member.tenant, member.user, member.name, address_of(address))
        return self._live.snapshot.linked.principal_of(account) if address else ""

    async def _note_personal(self, conversation: str, user_id: str, address: str) -> None:
        here = await self._places.get(conversation)
        if here is not None and here.kind is ConversationKind.PERSONAL and here.user == user_id:
            await self._places.belongs_to(conversation, address)

    async def _is_still(self, chat: Conversation, principal: str) -> bool:
        """Whether the chat is with who is called so today: an address may pass on to somebody else."""
        try:
            member = await self._book.member(chat.id, chat.member)
        except (UnknownPerson, ChannelRefused):
            return False
        return member.user == chat.user and self._address(member) == principal.lower()

    async def _anywhere(self, principal: str) -> tuple[Conversation, Member]:
        """A conversation in whose roster ``principal`` is, and their entry."""
        away: ChannelUnavailable | None = None
        for place in _once_per_team(await self._places.all()):
            try:
                members = await self._book.members(place.id)
            except ChannelUnavailable as error:
                away = error
            except ChannelRefused as error:
                _log.info("a roster was passed over: %s", error)
            else:
                found = next((each for each in members if self._address(each) == principal), None)
                if found is not None:
                    return place, found
        if away is not None:
            raise away
        raise NobodyThere("nobody of that address is in a team or chat that has the app")


def trusts(home: str, live: Live) -> Callable[[str], bool]:
    """Whether conversations of a tenant may be kept: it is ``home``, or the policy names it."""
    return lambda tenant: bool(tenant) and (tenant == home or tenant in live.snapshot.policy.teams.tenants)


def _once_per_team(places: Sequence[Conversation]) -> list[Conversation]:
    """Where to look for somebody: one channel of each team, then the group chats."""
    return [*teams_of(places), *(place for place in places if place.kind is ConversationKind.GROUP)]
