"""What the bot may answer to an invoke, and what its answer shows.

https://learn.microsoft.com/adaptive-cards/authoring-cards/universal-action-model#response-format and
https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/task-modules/task-modules-bots
"""

from __future__ import annotations

from typing import Any

from tests.fakes.teams.activities import utf16_bytes
from tests.fakes.teams.cards import card_problems
from tests.fakes.teams.things import ADAPTIVE, Json

MESSAGE = "application/vnd.microsoft.activity.message"
ERROR = "application/vnd.microsoft.error"
SIZES = frozenset({"small", "medium", "large"})


class Wrong(Exception):
    """Teams would show "Something went wrong" for this answer."""


def card_reply(status: int, body: Any, most_bytes: int) -> tuple[str, Any]:
    """("card", card), ("message", text) or ("error", {"code", "message"}); raises `Wrong`."""
    if status != 200:
        raise Wrong(f"HTTP {status}" if status else "no answer in time")
    if not isinstance(body, dict) or body.keys() != {"statusCode", "type", "value"}:
        raise Wrong(f"no invoke response: {str(body)[:200]}")
    code, kind, value = body["statusCode"], body["type"], body["value"]
    if isinstance(code, bool) or not isinstance(code, int):
        raise Wrong("statusCode is no number")
    if kind == ADAPTIVE and code == 200:
        problems = card_problems(value)
        if problems:
            raise Wrong("; ".join(problems))
        if utf16_bytes(value) > most_bytes:
            raise Wrong("the card is too big")
        return "card", value
    if kind == MESSAGE and code == 200 and isinstance(value, str) and value:
        return "message", value
    if kind == ERROR and 400 <= code < 600:
        if not isinstance(value, dict) or not all(
            isinstance(value.get(n), str) and value[n] for n in ("code", "message")
        ):
            raise Wrong("an error has a code and a message")
        return "error", {"status": code, **value}
    raise Wrong(f"{kind} with statusCode {code}")


def task_reply(status: int, body: Any, most_bytes: int, *, may_close: bool) -> tuple[str, Any]:
    """("dialog", {"title", "card"}), ("message", text) or ("closed", None); raises `Wrong`."""
    if status != 200:
        raise Wrong(f"HTTP {status}" if status else "no answer in time")
    if may_close and not body:
        return "closed", None
    task = body.get("task") if isinstance(body, dict) else None
    if not isinstance(task, dict) or task.keys() != {"type", "value"}:
        raise Wrong(f"no task: {str(body)[:200]}")
    value = task["value"]
    if task["type"] == "message" and isinstance(value, str) and value:
        return "message", value
    if task["type"] != "continue" or not isinstance(value, dict):
        raise Wrong(f"a task of type {task['type']!r}")
    return "dialog", _dialog(value, most_bytes)


def _dialog(value: Json, most_bytes: int) -> Json:
    if value.keys() - {"title", "height", "width", "card"} or not isinstance(value.get("title"), str):
        raise Wrong(f"a dialog has a title, a card, height and width, not {sorted(value)}")
    for name in ("height", "width"):
        size = value.get(name, "medium")
        if size not in SIZES and (isinstance(size, bool) or not isinstance(size, int)):
            raise Wrong(f"{name} is {size!r}")
    attached = value.get("card")
    if not isinstance(attached, dict) or attached.get("contentType") != ADAPTIVE or "content" not in attached:
        raise Wrong("a dialog's card is an attachment")
    problems = card_problems(attached["content"], dialog=True)
    if problems:
        raise Wrong("; ".join(problems))
    if utf16_bytes(attached["content"]) > most_bytes:
        raise Wrong("the dialog's card is too big")
    return {"title": value["title"], "card": attached["content"]}
