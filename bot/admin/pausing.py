"""``pause``, ``resume``: the kill switch. Pulling it takes effect at once; letting go, or milder, asks first."""

from __future__ import annotations

from bot.admin.office import Access, Call, Command, Office, command
from bot.admin.words import moment, suggestion
from bot.answers import Answer, refusal
from holdpoint.standing import EVERYTHING, Pause, PauseMode

_ALL = "all"
_DOES = {PauseMode.REFUSE: "refused", PauseMode.HOLD: "held for an admin"}
LONGEST_REASON = 500


async def _pause(office: Office, call: Call) -> Answer:
    connection = _named(call["connection|all"])
    mode = PauseMode(call.get("refuse|hold") or PauseMode.REFUSE)
    reason = call.get("reason")
    unknown = _unknown(office, connection)
    if unknown is not None:
        return unknown
    if len(reason) > LONGEST_REASON:
        return refusal(f"The reason is longer than {LONGEST_REASON} characters.")
    await office.live.look()
    before = office.live.snapshot.pauses.get(connection)
    line = f"Every request to {_words(connection)} is {_DOES[mode]}."
    diff = (f"- {_described(before)}\n" if before else "") + f"+ {_words(connection)}: {mode.value}"
    if before is not None and before.mode is PauseMode.REFUSE and mode is PauseMode.HOLD:
        question = await office.unless_confirmed(call, Answer(True, (line,), text=diff))
        if question is not None:
            return question
    changed = await office.store.pauses.pause(Pause(connection, mode, call.by.principal, office.clock(), reason))
    await office.live.look()
    if not changed:
        return Answer(True, (f"It is so already: {_described(before)}" if before else f"It is so already. {line}",))
    return Answer(True, (line, f"To let them pass again: resume {call['connection|all']}"), text=diff)


async def _resume(office: Office, call: Call) -> Answer:
    connection = _named(call["connection|all"])
    await office.live.look()
    pauses = office.live.snapshot.pauses
    before = pauses.get(connection)
    if before is None:
        others = ", ".join(_words(name) for name in sorted(pauses))
        hint = f" Paused: {others}." if others else ""
        return refusal(
            f"{_words(connection).capitalize()} {'are' if connection == EVERYTHING else 'is'} not paused.{hint}"
        )
    left = [_words(name) for name in sorted(pauses) if name != connection]
    lines = [f"Requests to {_words(connection)} pass again, as the policy says."]
    if left:
        lines.append(f"Still paused: {', '.join(left)}.")
    shown = Answer(True, tuple(lines), text=f"- {_described(before)}")
    question = await office.unless_confirmed(call, shown)
    if question is not None:
        return question
    await office.store.pauses.resume(connection, by=call.by.principal)
    await office.live.look()
    return shown


def _named(typed: str) -> str:
    return EVERYTHING if typed.casefold() in (_ALL, EVERYTHING) else typed


def _words(connection: str) -> str:
    return "all connections" if connection == EVERYTHING else connection


def _described(pause: Pause) -> str:
    why = f": {pause.reason}" if pause.reason else ""
    return f"{_words(pause.connection)}: {pause.mode.value}, since {moment(pause.at_ms)} by {pause.by}{why}"


def _unknown(office: Office, connection: str) -> Answer | None:
    known = office.live.snapshot.policy.connections
    if connection == EVERYTHING or connection in known:
        return None
    return refusal(f"The policy has no such connection.{suggestion(connection, [*known, _ALL])}")


TABLE: tuple[Command, ...] = (
    command(
        "pause <connection|all> [refuse|hold] [reason…]", Access.ADMINS,
        "the kill switch: refuse every request at once, or hold it", _pause,
    ),
    command("resume <connection|all>", Access.ADMINS, "let requests pass again", _resume),
)  # fmt: skip
