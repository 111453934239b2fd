"""Who somebody is: a Holdpoint key, or a chat platform's user, turned into a `Reviewer` as of this moment.

Groups and roles are looked up at every decision (promise 5), from the process's live view, which is never more than a
second old. So are links of chat accounts to principals (`bot.linking`). What the platform itself says of a user: `bot.accounts`.
"""

from __future__ import annotations

import logging

from bot.absence import standing_in
from bot.accounts import Accounts, Platform, UnknownPerson
from holdpoint import apikey, key_life
from holdpoint.addresses import networks_of
from holdpoint.clock import Clock
from holdpoint.errors import Conflict, HoldpointError
from holdpoint.linked import Link
from holdpoint.live import Live
from holdpoint.model import Account, KeyRecord, Reviewer, Role
from holdpoint.snapshot import Snapshot
from holdpoint.store.key_use import UsedKeys
from holdpoint.store.links import Links
from holdpoint.store.sessions import Session

VOID = (
    "Your account was linked while it had another e-mail address, so the link does not count any more, and nothing was "
    "done. From now on you are who your account's own address says; type link to link it anew."
)

_log = logging.getLogger("bot.directory")


class UnknownKey(HoldpointError):
    """No such key, or it was revoked or has expired, or may not be used here.

    ``str()`` is for who operates Holdpoint, not for a client.
    """


class VoidLink(UnknownPerson):
    """The account was linked, and is not the one any more that was; from now on it is who its own address says."""


class Directory:
    """Identities from keys and platforms."""

    def __init__(
        self, live: Live, *, clock: Clock, used_keys: UsedKeys | None = None, links: Links | None = None
    ) -> None:
        """``used_keys`` is told of every key that counts; None in a process that ends at once. ``links``: where it is
        recorded that a link has become void; it does not count in any case.
        """
        self._live = live
        self._clock = clock
        self._links = links
        self._used_keys = used_keys
        self._accounts = Accounts(clock)

    async def by_key(self, text: str, *, channel: str, address: str = "") -> Reviewer:
        """Who holds the key ``text``.

        Raises:
            UnknownKey: nobody, or not any more, or not from this address; of a mistyped key without asking anybody.
            StoreUnavailable: the truth cannot be had.
        """
        if apikey.key_id(text) is None:
            raise UnknownKey("not a whole Holdpoint key; it was cut or mistyped")
        return await self.by_key_digest(apikey.digest(text), channel=channel, address=address)

    async def by_key_digest(self, digest: str, *, channel: str, address: str = "") -> Reviewer:
        """The same by the key's digest, for a session that was opened with the key."""
        await self._live.ensure_fresh()
        record = self._live.snapshot.keys.get(digest)
        now_ms = self._clock()
        if record is None or not key_life.is_valid(record, now_ms):
            raise UnknownKey("unknown, revoked or expired key")
        _check_place(record, address)
        if self._used_keys is not None:
            self._used_keys.note(record.id, now_ms)
        return self._reviewer(record, channel=channel, address=address)

    async def by_session(self, session: Session, *, address: str = "") -> Reviewer:
        """Who is signed in to the web inbox: the holder of the session's key, or its person.

        A person has the groups that their provider names and those that the policy gives them now, and the roles of both.

        Raises:
            UnknownKey: the key does not count any more.
            StoreUnavailable: the truth cannot be had.
        """
        person = session.person
        if person is None:
            return await self.by_key_digest(session.key_digest, channel="web", address=address)
        await self._live.ensure_fresh()
        snapshot = self._live.snapshot
        groups = snapshot.groups_of(person.principal, person.groups)
        reviewer = Reviewer(
            person.principal, groups, snapshot.roles_of(groups), "web", name=person.name, address=address,
            aliases=person.aliases | _others(snapshot, person.principal, *person.aliases),
            auth_ms=person.auth_ms or None,
        )  # fmt: skip
        return standing_in(reviewer, snapshot, self._clock())

    async def by_platform(
        self, platform: Platform, channel: str, user_id: str, *, fresh: bool = False
    ) -> Reviewer:  # fmt: skip
        """Who clicked on ``channel`` ("slack"). ``fresh`` where they act: see `Platform.look_up`.

        Raises:
            UnknownPerson: the platform does not know, or names no e-mail; or the account's link has become void.
            ChannelError: it could not be asked.
            StoreUnavailable: the truth cannot be had.
        """
        user = await self._accounts.look_up(platform, channel, user_id, fresh=fresh)
        await self._live.ensure_fresh()
        snapshot = self._live.snapshot
        account = Account(channel, user.place, user.id, user.name, user.email)
        link = snapshot.linked.of(channel, user.id)
        if link is not None and link.voided_ms is None and not link.is_of(account):
            if not fresh:  # what is remembered may be older than the link
                return await self.by_platform(platform, channel, user_id, fresh=True)
            await self._void(link)
            raise VoidLink(VOID)
        principal = snapshot.linked.principal_of(account)
        # A void link gives nothing any more, but who could be the requester by it does not decide on the request.
        sides = (link.principal, link.email_then) if link is not None else ()
        groups = snapshot.groups_of(principal, user.groups)
        person = Reviewer(
            principal,
            groups,
            snapshot.roles_of(groups),
            channel,
            name=user.name,
            address=user.id,
            aliases=user.aliases | _others(snapshot, principal, user.email, *user.aliases, *sides),
            account=account,
            zone=user.zone,
        )
        return standing_in(person, snapshot, self._clock())

    async def changed(self, platform: Platform, channel: str, user_id: str) -> None:
        """The platform says that something about an account has changed: look, where a link depends on it.

        Raises:
            VoidLink: the link is void from now on; the person has not been told.
            ChannelError, StoreUnavailable: it could not be found out. Nothing counts by that: who acts is looked at anyway.
        """
        self.forget(channel, user_id)
        await self._live.ensure_fresh()
        link = self._live.snapshot.linked.of(channel, user_id)
        if link is not None and link.voided_ms is None:
            try:
                await self.by_platform(platform, channel, user_id, fresh=True)
            except VoidLink:
                raise
            except UnknownPerson as error:
                _log.info("a linked account does not count: %s", error)

    def forget(self, channel: str, user_id: str) -> None:
        """Ask the platform again the next time (it said that the person changed)."""
        self._accounts.forget(channel, user_id)

    def _reviewer(self, record: KeyRecord, *, channel: str, address: str) -> Reviewer:
        # A key can do what it was made for, and no more: one that its owner gave to a program does not review.
        groups = self._live.snapshot.groups_of(record.principal, record.groups)
        holder = Reviewer(
            record.principal, groups, record.roles, channel, name=record.name, address=address, owner=record.owner,
            aliases=_others(self._live.snapshot, record.principal),
        )  # fmt: skip
        reviews = Role.REVIEWER in record.roles
        return standing_in(holder, self._live.snapshot, self._clock()) if reviews else holder

    async def _void(self, link: Link) -> None:
        """Record that ``link`` is not of its account any more."""
        if self._links is None:
            return
        try:
            await self._links.void(link, by=link.platform)
        except Conflict:
            return  # another bot has seen it, or somebody has linked or unlinked it
        await self._live.look()


def _others(snapshot: Snapshot, principal: str, *others: str) -> frozenset[str]:
    """Who else ``principal`` is, ``others`` among them, as far as links say."""
    return snapshot.linked.kin({principal, *others}) - {principal}


def _check_place(record: KeyRecord, address: str) -> None:
    """Refuse a key that is used where it must not be.

    One that is limited to connections sends requests there, and is good for nothing else: with it one would see, and
    answer for, the principal's requests to other connections as well.

    Raises:
        UnknownKey
    """
    if record.connections:
        raise UnknownKey("this key only sends requests, to some connections")
    if record.networks and address not in networks_of(record.networks):
        _log.warning("a key was used from outside its networks", extra={"key": record.id, "address": address})
        raise UnknownKey("this key may not be used from here")
