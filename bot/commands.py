"""The commands that people type: one grammar, owned here, for Slack, Teams and the command line.

::

    text ─ grammar (words, quotes) ─ TABLE (which command, who may) ─ bot/admin/ (does it) ─▶ Answer

`Commands.run` takes the text behind ``/holdpoint`` and who typed it. Whatever the text, there is an answer: what is
unknown or incomplete gets help and the nearest match, what goes wrong gets a sentence. Only a lost store raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bot import grammar
from bot.admin import (
    absence,
    changes,
    glass,
    grants,
    holds,
    keys,
    limits,
    linking,
    passkeys,
    pausing,
    people,
    policies,
    reports,
    routes,
    sessions,
)
from bot.admin.office import Access, Call, Checkup, Command, Office, Sampler, command
from bot.answers import Answer, Picture, Table, inert, refusal
from bot.decide import Decider
from bot.glass import BreakGlass
from bot.grants import Grants
from bot.history import History
from holdpoint.clock import Clock
from holdpoint.errors import (
    ChannelError,
    ConfigurationError,
    Conflict,
    DecisionError,
    HoldpointError,
    LedgerError,
    NotFound,
    StepUpNeeded,
    StoreUnavailable,
)
from holdpoint.live import Live
from holdpoint.metrics import Metrics
from holdpoint.model import Reviewer
from holdpoint.store import Store

__all__ = ["TABLE", "Answer", "Checkup", "Commands", "Picture", "Sampler", "Table"]

LONGEST = 8_000  # characters; Slack and Teams send less


async def _help(office: Office, call: Call) -> Answer:  # noqa: ARG001 - a handler's signature
    words = [token.text.casefold() for token in grammar.tokens_of(call.get("command"))]
    if not words:
        return _whole_help()
    found = grammar.partial(_FORMS, words)
    return Answer(True, table=_help_table(found)) if found else _unknown(words)


async def _confirm(office: Office, call: Call) -> Answer:  # noqa: ARG001 - never run: see `Commands.run`
    return refusal("There is nothing to confirm.")


_CONFIRM = command(
    "confirm <token>", Access.EVERYBODY, "do what you were just asked about, within five minutes", _confirm
)
TABLE: tuple[Command, ...] = (
    *holds.TABLE,
    *grants.TABLE,
    *glass.TABLE,
    *pausing.TABLE,
    *routes.TABLE,
    *policies.TABLE,
    *changes.TABLE,
    *limits.TABLE,
    *reports.TABLE,
    *people.TABLE,
    *absence.TABLE,
    *linking.TABLE,
    *passkeys.TABLE,
    *keys.TABLE,
    *sessions.TABLE,
    _CONFIRM,
    command("help [command…]", Access.EVERYBODY, "this list, or the part of it that begins so", _help),
)
"""Every command, in the order of help."""

_FORMS = [row.form for row in TABLE]


class Commands:
    """Runs commands. Platforms that run in this process put their `Sampler` and `Checkup` into ``office``."""

    def __init__(
        self,
        store: Store,
        live: Live,
        *,
        clock: Clock,
        link_base: str,
        decider: Decider,
        metrics: Metrics,
        history: History | None = None,
    ) -> None:
        """``history`` is None where the ledger is not at hand: then there are no audit and no stats."""
        self.office = Office(
            store, live, clock, link_base, decider,
            Grants(store, live, decider, clock=clock), BreakGlass(store, live, clock=clock, metrics=metrics), history,
        )  # fmt: skip

    async def run(self, text: str, reviewer: Reviewer, *, verified: bool = True, place: str = "") -> Answer:
        """Run ``text`` ("route add contractors slack:C0123") for ``reviewer``, who typed it in the channel ``place``.

        ``verified`` is False where the identity is only claimed (an operator's ``--as``): then nothing is decided.

        Raises:
            StoreUnavailable: Redis does not answer. It is not known whether a change was made.
        """
        await self.office.live.ensure_fresh()
        answer = await self._answered(text, reviewer, verified=verified, place=place)
        return inert(answer, self.office.live.snapshot.policy.masks)

    async def _answered(self, text: str, reviewer: Reviewer, *, verified: bool, place: str) -> Answer:
        if len(text) > LONGEST:
            return refusal(f"A command has at most {LONGEST:,} characters.")
        if not _is_unicode(text):
            return refusal("This is not valid Unicode, so it cannot be a command.")
        confirmed = ""
        row, arguments = _find(text)
        if row is _CONFIRM and arguments is not None:
            asked = await self.office.store.confirmations.take(arguments["token"], by=reviewer.principal)
            if asked is None:
                return refusal(
                    "There is nothing of yours to confirm: five minutes have passed, or it was done already."
                )
            text, confirmed = asked.text, asked.shown
            row, arguments = _find(text)
        if row is None or arguments is None:
            return _hint(text)
        why = _why_not(row, reviewer, verified=verified)
        if why:
            return refusal(why)
        try:
            return await row.run(self.office, Call(reviewer, text, arguments, confirmed, place))
        except StoreUnavailable:
            raise
        except (DecisionError, NotFound, Conflict, ConfigurationError, LedgerError, ChannelError) as error:
            return Answer(False, _sentences(error), link=error.url if isinstance(error, StepUpNeeded) else "")


def _is_unicode(text: str) -> bool:
    """Whether it can be stored and sent: JSON and a shell's arguments may carry halves of characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _find(text: str) -> tuple[Command | None, dict[str, str] | None]:
    """The command that ``text`` names, and its arguments; None for these when they do not fit."""
    tokens = grammar.tokens_of(text)
    words = [token.text.casefold() for token in tokens]
    rows = [row for row in TABLE if grammar.begins(row.form, words)]
    if not rows:
        return None, None
    longest = max(len(row.form.words) for row in rows)
    for row in (row for row in rows if len(row.form.words) == longest):
        arguments = row.form.bind(text, tokens)
        if arguments is not None:
            return row, dict(arguments)
    return rows[0], None


def _why_not(row: Command, reviewer: Reviewer, *, verified: bool) -> str:
    """Why this person may not run this command; empty when they may."""
    if not row.access.includes(reviewer):
        return f"Only {row.access.value} may do this."
    if row.personal and reviewer.owner is not None:
        return "An agent's key may not do this; a person has to."
    if row.personal and not verified:
        return "This is done in one's own name: with a key of your own in HOLDPOINT_KEY, not with --as."
    return ""


def _hint(text: str) -> Answer:
    words = [token.text.casefold() for token in grammar.tokens_of(text)]
    if not words:
        return _whole_help()
    found = grammar.partial(_FORMS, words)
    if not found:
        return _unknown(words)
    return Answer(False, ("That is not how the command goes. It is one of these:",), _help_table(found))


def _unknown(words: Sequence[str]) -> Answer:
    near = grammar.nearest(_FORMS, words)
    meant = (f"Did you mean: {near.shown}",) if near is not None else ()
    return Answer(False, ("I do not know this command.", *meant), _whole_help().table)


def _whole_help() -> Answer:
    return Answer(True, table=_help_table(_FORMS))


def _help_table(forms: Iterable[grammar.Form]) -> Table:
    wanted = {form.shown for form in forms}
    rows = tuple((row.form.shown, _line(row)) for row in TABLE if row.form.shown in wanted)
    return Table(("command", "what it does"), rows)


def _line(row: Command) -> str:
    return row.help if row.access is Access.EVERYBODY else f"{row.help} ({row.access.value})"


def _sentences(error: HoldpointError) -> tuple[str, ...]:
    """An error in the words of a person's language: each line a sentence."""
    lines = [line for line in str(error).splitlines() if line.strip()] or ["It could not be done."]
    lines = [line[:1].upper() + line[1:] for line in lines]
    return tuple(line if line.endswith((".", "!", "?", ":")) else f"{line}." for line in lines)
