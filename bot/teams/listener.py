"""Activity → handler: clicks, dialogs, commands, and where we are; and what a handler that fails comes to.

::

    every activity ─▶ places.learn
    invoke   adaptiveCard/action ─▶ act ─▶ a card, a sentence or an error, for who clicked   task/fetch, task/submit ─▶ a dialog
    message  an Action.Submit of an old client ─▶ act     anything else ─▶ a command, once

Teams shows an error, or sends again, what is not answered within five seconds; clicks may be repeated without harm. What
a click decides is in Redis before its answer, or the answer says that it is not confirmed (promise 6).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botbuilder.core import InvokeResponse, TurnContext
from botbuilder.core.teams import TeamsActivityHandler

from bot.desk import TOO_SLOW
from bot.teams import KIND, arrived
from bot.teams.adapter import turn_of
from bot.teams.arrived import Activity, Click, Malformed, Message
from bot.teams.reactions import Dialog, Failed, Reaction, Said, dialog_body, invoke_body
from holdpoint.errors import ChannelError, HoldpointError, StoreUnavailable
from holdpoint.metrics import Metrics
from holdpoint.store.seen import Seen
from holdpoint.tasks import Tasks

LEARN_WITHIN_S = 1.0  # a click is not to wait for longer than this for what only later ones need

_log = logging.getLogger(__name__)


class TryAgain(HoldpointError):
    """Nothing was done, and nobody could be told: Teams is answered with an error, so that it may send this again."""


@dataclass(frozen=True, slots=True)
class Handlers:
    """What is done about what arrived. ``act``, ``fetch`` and ``submit`` raise only what is a bug; the others may raise
    `ChannelError` and `StoreUnavailable`, too.

    ``left`` is told the members (``29:…``) who are not in a conversation any more. ``welcome`` introduces us where the app was added; ``tell`` says a sentence where somebody clicked or wrote.
    """

    act: Callable[[Click], Awaitable[Reaction]]
    fetch: Callable[[Click], Awaitable[Dialog]]
    submit: Callable[[Click], Awaitable[Dialog]]
    command: Callable[[Message], Awaitable[None]]
    learn: Callable[[Activity], Awaitable[object]]
    forget: Callable[[str], Awaitable[None]]
    left: Callable[[str, Sequence[str]], Awaitable[None]]
    welcome: Callable[[Activity], Awaitable[None]]
    tell: Callable[[Activity, str], Awaitable[None]]


class Listener(TeamsActivityHandler):  # type: ignore[misc]  # the SDK has no types
    """`on_turn` is the adapter's logic."""

    def __init__(self, handlers: Handlers, seen: Seen, *, metrics: Metrics, tasks: Tasks) -> None:
        self._handlers = handlers
        self._seen = seen
        self._metrics = metrics
        self._tasks = tasks
        self._dialogs = {"task/fetch": handlers.fetch, "task/submit": handlers.submit}

    async def on_turn(self, turn_context: TurnContext) -> None:
        """Learn from every activity where we are, then go to the method of its type.

        Raises:
            TryAgain: see there.
        """
        turn = turn_of(turn_context)
        try:
            async with asyncio.timeout(LEARN_WITHIN_S):
                await self._handlers.learn(turn.activity)
        except (StoreUnavailable, ChannelError, TimeoutError) as error:
            _log.warning("a place was not noted: %s", str(error) or "it took too long")
            if turn.activity["type"] in ("conversationUpdate", "installationUpdate"):
                raise TryAgain("a place was not noted") from error
        await super().on_turn(turn_context)

    async def on_invoke_activity(self, turn_context: TurnContext) -> InvokeResponse:
        """A button or a dialog."""
        turn = turn_of(turn_context)
        name = turn.activity.get("name")
        try:
            if name == "adaptiveCard/action":
                click = arrived.executed(turn.activity)
                return _ok(invoke_body(await self._reaction(click, turn.deadline)))
            handler = self._dialogs.get(name or "")
            if handler is None:
                return InvokeResponse(status=501)
            return _ok(dialog_body(await self._dialog(handler, arrived.of_dialog(turn.activity), turn.deadline)))
        except Malformed as error:
            _log.warning("refused an invoke: %s", error)
            refused = Failed("Holdpoint cannot read this click.", status=400)
            return InvokeResponse(status=400, body=invoke_body(refused))

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        """A click in an old client, or something that was written to us."""
        turn = turn_of(turn_context)
        click = arrived.submitted(turn.activity)
        if click is not None:
            reaction = await self._reaction(click, turn.deadline)
            if isinstance(reaction, Said | Failed):  # the drawer redraws the card for everybody
                await self._tell(turn.activity, reaction.sentence)
            return
        written = arrived.message(turn.activity)
        if not await self._is_first("command", turn.activity):
            return
        # A long command goes on after Teams has been answered, so that it is not sent again.
        working = self._tasks.start("teams command", self._run(written))
        done, _ = await asyncio.wait({working}, timeout=max(0.0, turn.deadline - asyncio.get_running_loop().time()))
        if done:
            working.result()

    async def on_conversation_update_activity(self, turn_context: TurnContext) -> None:
        """We, or people, were removed from a place, perhaps. The SDK's own method asks Teams about everybody who came."""
        activity = turn_of(turn_context).activity
        us, gone = arrived.text_at(activity, "recipient", "id"), activity.get("membersRemoved")
        removed = gone if isinstance(gone, list) else []
        ids = [str(each.get("id") or "") for each in removed if isinstance(each, dict)]
        if us and us in ids:
            await self._forget(activity)
        elif ids:
            await self._left(activity, ids)

    async def on_installation_update(self, turn_context: TurnContext) -> None:
        """The app was added to a place, or removed; not where that is a step of its upgrade (``remove-upgrade``)."""
        activity = turn_of(turn_context).activity
        match activity.get("action"):
            case "remove":
                await self._forget(activity)
            case "add" if await self._is_first("event", activity):
                self._tasks.start("teams welcome", self._welcome(activity))
            case _:
                pass

    async def _welcome(self, activity: Activity) -> None:
        try:
            await self._handlers.welcome(activity)
        except (ChannelError, StoreUnavailable) as error:
            _log.warning("nobody was welcomed: %s", error)

    async def _left(self, activity: Activity, members: Sequence[str]) -> None:
        """People left. Who acts is looked at anyway, so nothing is lost where this fails."""
        try:
            await self._handlers.left(arrived.text_at(activity, "conversation", "id"), members)
        except (ChannelError, StoreUnavailable) as error:
            _log.warning("who left was not looked at: %s", error)

    async def _forget(self, activity: Activity) -> None:
        try:
            # Who leaves a team leaves all its channels, whichever this comes from.
            team = arrived.text_at(activity, "channelData", "team", "id")
            await self._handlers.forget(team or arrived.bare(arrived.text_at(activity, "conversation", "id")))
        except StoreUnavailable as error:
            raise TryAgain("a place was not forgotten") from error

    async def _reaction(self, click: Click, deadline: float) -> Reaction:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._handlers.act(click)
        except TimeoutError:
            return Said(TOO_SLOW)
        except Exception as error:  # noqa: BLE001 - the outermost handler of clicks in Teams: say, count, log with an id
            return Failed(self._failed(error))

    async def _dialog(self, handler: Callable[[Click], Awaitable[Dialog]], click: Click, deadline: float) -> Dialog:
        try:
            async with asyncio.timeout_at(deadline):
                return await handler(click)
        except TimeoutError:
            return Said(TOO_SLOW)
        except Exception as error:  # noqa: BLE001 - the outermost handler of dialogs in Teams: say, count, log with an id
            return Said(self._failed(error))

    async def _run(self, written: Message) -> None:
        try:
            await self._handlers.command(written)
        except ChannelError as error:
            _log.warning("an answer to a command was lost: %s", error)
        except StoreUnavailable as error:
            _log.warning("nobody knows where to answer a command: %s", error)
            raise TryAgain("nobody was told") from error
        except Exception as error:  # noqa: BLE001 - the outermost handler of commands in Teams: say, count, log with an id
            sentence = self._failed(error)
            try:
                await self._tell(written.raw, sentence)
            except TryAgain:
                await self._not_handled("command", written.raw)
                raise

    def _failed(self, error: Exception) -> str:
        """A bug: counted, in the log under an id, and what to say of it."""
        mark = secrets.token_hex(4)
        self._metrics.errors[KIND] += 1
        _log.error("a Teams callback failed", extra={"error_id": mark}, exc_info=error)
        return (
            f"Something went wrong in Holdpoint; its log says what, under {mark}. What the card shows is what counts."
        )

    async def _tell(self, activity: Activity, sentence: str) -> None:
        try:
            await self._handlers.tell(activity, sentence)
        except (ChannelError, StoreUnavailable) as error:
            _log.warning("somebody was not told what became of their click: %s", error)
            raise TryAgain("nobody was told") from error

    async def _is_first(self, kind: str, activity: Activity) -> bool:
        """Whether this was not delivered before, to whichever bot. Without the store a command says that it cannot run."""
        delivery = _delivery(activity)
        try:
            return not delivery or await self._seen.first(kind, delivery)
        except StoreUnavailable:
            return True

    async def _not_handled(self, kind: str, activity: Activity) -> None:
        """The next delivery is the first one again."""
        try:
            await self._seen.forget(kind, _delivery(activity))
        except StoreUnavailable as error:
            _log.warning("a callback may be lost: %s", error)


def _delivery(activity: Activity) -> str:
    """What Teams would send again under the same name; empty where it has none."""
    # Ids of messages are times, and those of two conversations may be equal.
    place, identifier = arrived.bare(arrived.text_at(activity, "conversation", "id")), arrived.text_at(activity, "id")
    return f"{KIND}:{place}:{identifier}" if identifier else ""


def _ok(body: Mapping[str, Any] | None) -> InvokeResponse:
    return InvokeResponse(status=200, body=body)
