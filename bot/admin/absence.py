"""``away``, ``back``, ``absences``: who is away until when, and who decides in their place.

A delegate gets authority, so who it is has to be beyond doubt: a person whom the policy, a key or a chat platform knows.
With two admins for a change, an admin alone hands nobody's authority to anybody; who is away still may.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.absence import away_line, own_lines, until_words
from bot.admin.office import Access, Call, Command, Office, command
from bot.admin.words import suggestion
from bot.answers import Answer, Table
from bot.grammar import tokens_of
from bot.until import read_until, zone_of
from holdpoint.absence import Absence
from holdpoint.errors import BadText, ChannelError, MayNotDecide
from holdpoint.linked import address_of
from holdpoint.mailbox import mailbox
from holdpoint.model import Role
from holdpoint.policy import people

LONGEST_REASON = 200
_NO_ORDER = "Write: until <time>, then delegate <person> if somebody stands in, then because <reason>."
_UTC = "The time is in UTC, because nobody tells Holdpoint your time zone. Say it with an offset, as in 2026-12-02T09:00+01:00, where that is wrong."


@dataclass(frozen=True, slots=True)
class _Said:
    """The words behind ``until``."""

    when: str
    delegate: str
    reason: str


async def _away(office: Office, call: Call) -> Answer:
    lines = own_lines(call.by, office.live.snapshot, office.clock())
    if not lines:
        return Answer(True, ("You are not away, and stand in for nobody.",))
    return Answer(True, table=Table(("", ""), lines))


async def _begin_own(office: Office, call: Call) -> Answer:
    said = _read(call["when"])
    if said.delegate and Role.REVIEWER not in call.by.roles:
        raise MayNotDecide("There is nothing that you may decide, so nobody can stand in for you.")
    absence = _absence(office, call, said, call.by.principal, call.by.aliases)
    await _check_delegate(office, absence)
    return await _begin(office, call, absence, "You")


async def _begin_other(office: Office, call: Call) -> Answer:
    said = _read(call["when"])
    person = await _known(office, _address(call["person"]))
    if people.same(person, call.by.principal):
        raise BadText("That is you. Write: away until <time>")
    absence = _absence(office, call, said, person, frozenset())
    if not absence.delegate:
        return await _begin(office, call, absence, person)
    if office.live.snapshot.policy.second_admin:
        raise MayNotDecide(
            f"Changes need two admins here, so one alone gives nobody the right to decide for {person}. "
            "Leave the delegate out, or let them say it themselves."
        )
    if not people.names(absence.delegate).isdisjoint(people.of_reviewer(call.by)):
        raise MayNotDecide("You cannot make yourself somebody's delegate.")
    await _check_delegate(office, absence)
    # As it was typed, so that it is still the same question when it is confirmed a minute later.
    line = f"{person} is away until {said.when}. {_entrusted(office, absence)}"
    question = await office.unless_confirmed(call, Answer(True, (line,)))
    return question if question is not None else await _begin(office, call, absence, person)


async def _back(office: Office, call: Call) -> Answer:
    return await _end(office, call, call.by.principal, "You are")


async def _back_other(office: Office, call: Call) -> Answer:
    person = _address(call["person"])
    return await _end(office, call, person, f"{person} is")


async def _absences(office: Office, call: Call) -> Answer:  # noqa: ARG001 - a handler's signature
    now_ms = office.clock()
    on = sorted(
        (each for each in office.live.snapshot.absences if each.is_on(now_ms)),
        key=lambda each: (each.until_ms, each.principal),
    )
    if not on:
        return Answer(True, ("Nobody is away, as far as Holdpoint was told.",))
    rows = tuple(
        (each.principal, until_words(each), each.delegate or "nobody", each.reason, each.by) for each in on
    )  # fmt: skip  # in the order of the header
    return Answer(True, table=Table(("away", "until", "stands in", "because", "said by"), rows))


def _read(text: str) -> _Said:
    """``<time> [delegate <person>] [because <reason…>]``; the words count where they are not in quotes."""
    tokens = tokens_of(text)
    words = [token.text.casefold() if not token.quoted else "" for token in tokens]
    because = words.index("because") if "because" in words else len(words)
    delegate = words.index("delegate") if "delegate" in words[:because] else because
    when = " ".join(token.text for token in tokens[:delegate])
    reason = text[tokens[because].end :].strip() if because < len(tokens) else ""
    named = tokens[delegate + 1 : because]
    if not when or (delegate < because) != (len(named) == 1) or (because < len(tokens) and not reason):
        raise BadText(_NO_ORDER)
    if len(reason) > LONGEST_REASON:
        raise BadText(f"The reason is longer than {LONGEST_REASON} characters.")
    return _Said(when, named[0].text if named else "", reason)


def _absence(office: Office, call: Call, said: _Said, principal: str, aliases: frozenset[str]) -> Absence:
    zone, now_ms = zone_of(call.by.zone), office.clock()
    try:
        until_ms = read_until(said.when, now_ms=now_ms, zone=zone)
    except ValueError as error:
        raise BadText(str(error)) from None
    delegate = _address(said.delegate) if said.delegate else ""
    return Absence(principal, now_ms, until_ms, call.by.principal, delegate, said.reason, zone.key, aliases)


async def _check_delegate(office: Office, absence: Absence) -> None:
    """Raise `BadText` unless the delegate is another person, known, and there."""
    if not absence.delegate:
        return
    snapshot = office.live.snapshot
    own = snapshot.linked.kin({absence.principal, *absence.aliases})
    if not people.names(absence.delegate).isdisjoint(people.names(*own)):
        raise BadText("Nobody stands in for themselves. Name somebody else, or nobody.")
    await _known(office, absence.delegate)
    theirs = snapshot.absences.of(absence.delegate, absence.since_ms)
    if theirs is not None:
        raise BadText(f"Name somebody who is there, or nobody: {away_line(theirs)}.")


async def _known(office: Office, principal: str) -> str:
    """``principal``, a person whom the policy, a key or a platform knows."""
    snapshot = office.live.snapshot
    keys = list(snapshot.keys.values())
    if any(key.owner is not None and people.same(key.principal, principal) for key in keys):
        raise BadText(f"Only people decide, and {principal} is an agent.")
    members = set(snapshot.memberships) | {key.principal for key in keys if key.revoked_ms is None}
    if principal in members:
        return principal
    for ask in office.acquaintances.values():
        try:
            if await ask(principal):
                return principal
        except ChannelError:
            continue  # whom nobody vouches for now is not known
    raise BadText(
        f"Nobody knows {principal}: neither the policy, nor a key, nor a chat platform.{suggestion(principal, members)}"
    )


def _address(typed: str) -> str:
    """The principal that was typed, or mentioned."""
    address = address_of(typed)
    if mailbox(address) is None:
        raise BadText("That is nobody's e-mail address. Mention the person, or write kim@example.com.")
    return address


async def _begin(office: Office, call: Call, absence: Absence, who: str) -> Answer:
    before = await office.store.absences.begin(absence)
    await office.live.look()
    lines = [f"{away_line(absence, who)}."]
    if not call.by.zone:
        lines.append(_UTC)
    if absence.delegate:
        lines.append(_entrusted(office, absence))
    lines += (
        f"{left.principal} is away, too, and counts on {absence.principal}: the right to decide is not handed on."
        for left in office.live.snapshot.absences.entrusted_to(absence.principal, office.clock())
    )
    text = (f"- {_described(before)}\n" if before is not None else "") + f"+ {_described(absence)}"
    return Answer(True, tuple(lines), text=text)


def _entrusted(office: Office, absence: Absence) -> str:
    """What the delegate may do by it."""
    groups = sorted(office.live.snapshot.groups_of(absence.principal))
    if not groups:
        return f"The policy lists {absence.principal} in no group, so there is nothing to decide in their place."
    return f"{absence.delegate} may decide what {', '.join(groups)} may, but not on requests of {absence.principal}."


async def _end(office: Office, call: Call, principal: str, who_is: str) -> Answer:
    ended = await office.store.absences.end(principal, by=call.by.principal)
    await office.live.look()
    if ended is None:
        return Answer(True, (f"{who_is} not away, as far as Holdpoint was told.",))
    over = [f"{ended.delegate} stands in no longer."] if ended.delegate else []
    return Answer(True, (f"{who_is} back.", *over), text=f"- {_described(ended)}")


def _described(absence: Absence) -> str:
    # One line, however it was typed: those of the text around it begin with what changed.
    why = f" because {' '.join(absence.reason.split())}" if absence.reason else ""
    return f"{away_line(absence)}{why}"


TABLE: tuple[Command, ...] = (
    command("away", Access.EVERYBODY, "whether you are away, and for whom you stand in", _away),
    command(
        "away until <when…>", Access.EVERYBODY,
        "you are away: <time> [delegate <person>] [because <reason>]", _begin_own, personal=True,
    ),
    command("back", Access.EVERYBODY, "you are there again", _back, personal=True),
    command(
        "away <person> until <when…>", Access.ADMINS, "somebody else is away, and could not say so", _begin_other,
        personal=True,
    ),
    command("back <person>", Access.ADMINS, "somebody else is there again", _back_other, personal=True),
    command("absences", Access.OVERSEERS, "who is away until when, and who stands in", _absences),
)  # fmt: skip
