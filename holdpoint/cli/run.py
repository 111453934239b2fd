"""`holdpoint run "…"`: the commands that people type in chat (docs/commands.md), against Redis, as an operator.

Who runs them is the owner of the key in HOLDPOINT_KEY, or whom the operator names with ``--as``. The latter is only
claimed: the grammar decides nothing for it, and the record says which user of the operating system it was.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import click

from bot.commands import Answer, Commands
from bot.decide import Decider
from bot.directory import Directory, UnknownKey
from bot.history import History
from holdpoint.cli.common import (
    Refused,
    json_option,
    opened_store,
    operator,
    print_json,
    print_table,
    print_text,
    settings_with_logs,
)
from holdpoint.clock import now_ms
from holdpoint.errors import ConfigurationError, LedgerError
from holdpoint.ledger.sql import Ledger
from holdpoint.live import Live
from holdpoint.metrics import Metrics
from holdpoint.model import Reviewer
from holdpoint.settings import Settings
from holdpoint.store import Store
from holdpoint.visible import visible_line

CHANNEL = "cli"


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--as", "principal", metavar="PRINCIPAL", help="Who you are; without it, the owner of HOLDPOINT_KEY.")
@click.argument("words", nargs=-1, required=True, metavar="COMMAND…")
@json_option
def run(*, principal: str | None, words: tuple[str, ...], as_json: bool) -> int:
    """Run a COMMAND of the chat grammar: "help" lists them all."""
    return asyncio.run(_run(_text_of(words), principal, as_json=as_json))


def _text_of(words: Sequence[str]) -> str:
    """One argument is the command as typed. Of several, those with blanks are put back in the quotes that the shell took."""
    if len(words) == 1:
        return words[0]
    return " ".join(f'"{word}"' if not word or any(c.isspace() for c in word) else word for word in words)


@dataclass(frozen=True, slots=True)
class _Session:
    commands: Commands
    who: Reviewer
    verified: bool

    async def say(self, text: str) -> Answer:
        return await self.commands.run(text, self.who, verified=self.verified)


async def _run(text: str, principal: str | None, *, as_json: bool) -> int:
    settings = settings_with_logs()
    logging.getLogger("holdpoint.live").setLevel(logging.WARNING)  # what a process says when it starts
    async with _session(settings, principal) as session:
        answer = await session.say(text)
        if as_json:
            print_json(_as_json(answer))
            return 0 if answer.ok and not answer.confirm else 1
        _print(answer)
        if answer.confirm:
            # Not `click.confirm` with abort: no is an answer, and its code is 1.
            if not await asyncio.to_thread(_is_sure):
                raise Refused("nothing was changed")
            answer = await session.say(answer.confirm)
            _print(answer)
            if answer.confirm:
                raise Refused("it changed while you were asked: nothing was changed, look at it and run it again")
        return 0 if answer.ok else 1


def _is_sure() -> bool:
    try:
        return click.confirm("Do it?", default=False)
    except click.Abort:  # the input has ended
        click.echo()
        return False


@asynccontextmanager
async def _session(settings: Settings, principal: str | None) -> AsyncIterator[_Session]:
    """Everything that the commands work with.

    Raises:
        ConfigurationError: nobody says who this is, or the key is unknown.
        StoreUnavailable: Redis cannot be had.
    """
    async with opened_store(settings) as store:
        live, metrics = Live(store, clock=now_ms), Metrics()
        await live.look()
        who = await _who(settings, live, principal)
        async with _history(settings, store, live) as history:
            commands = Commands(
                store, live, clock=now_ms, link_base=settings.link_base,
                decider=Decider(store, live, clock=now_ms, metrics=metrics, link_base=settings.link_base), metrics=metrics, history=history,
            )  # fmt: skip
            yield _Session(commands, who, verified=principal is None)


@asynccontextmanager
async def _history(settings: Settings, store: Store, live: Live) -> AsyncIterator[History | None]:
    """What the ledger knows. None, and a line that says why, without one: the kill switch has to work all the same."""
    try:
        ledger = await asyncio.to_thread(Ledger.open, settings.ledger, upgrade=False)
    except (ConfigurationError, LedgerError) as error:
        click.echo(f"holdpoint: without the ledger: {visible_line(str(error))}", err=True)
        yield None
        return
    history = History(ledger, store, clock=now_ms, masks=lambda: live.snapshot.policy.masks)
    try:
        yield history
    finally:
        await history.aclose()
        await asyncio.to_thread(ledger.close)


async def _who(settings: Settings, live: Live, principal: str | None) -> Reviewer:
    if principal is not None:
        named = principal.strip().lower()
        if not named:
            raise click.UsageError("--as: names nobody")
        groups = live.snapshot.groups_of(named)
        return Reviewer(named, groups, live.snapshot.roles_of(groups), CHANNEL, address=operator())
    if settings.key is None:
        raise ConfigurationError("say who you are: --as PRINCIPAL, or a key of your own in HOLDPOINT_KEY")
    try:
        return await Directory(live, clock=now_ms).by_key(
            settings.key.get_secret_value(), channel=CHANNEL, address=operator()
        )
    except UnknownKey as error:
        raise ConfigurationError(f"HOLDPOINT_KEY: {error}") from None


def _print(answer: Answer) -> None:
    for line in answer.lines:
        click.echo(visible_line(line), err=not answer.ok)
    if answer.table is not None:
        print_table([heading.upper() for heading in answer.table.header], answer.table.rows)
    for card in answer.cards:
        facts = [card.id, card.state.value, card.requester_line, card.title, card.state_sentence, card.deadline_words]
        click.echo(visible_line("  ".join(filter(None, facts))))
        if len(answer.cards) == 1:
            for part in card.parts:
                print_text(f"\n[{part.label}]\n{part.plain}")
            click.echo()
            click.echo(visible_line(card.url))
    if answer.text:
        print_text(answer.text)
    sys.stdout.flush()


def _as_json(answer: Answer) -> dict[str, Any]:
    """The answer without its picture; cards by what finds them again."""
    table = answer.table
    return {
        "ok": answer.ok,
        "lines": answer.lines,
        "table": {"header": table.header, "rows": table.rows} if table is not None else None,
        "cards": [
            {
                "id": card.id, "digest": card.digest, "state": card.state, "state_sentence": card.state_sentence,
                "requester": card.requester, "connection": card.connection, "model": card.model,
                "risk": card.risk, "title": card.title, "deadline_ms": card.deadline_ms, "url": card.url,
            }
            for card in answer.cards
        ],
        "text": answer.text,
        "confirm": answer.confirm or None,
    }  # fmt: skip
