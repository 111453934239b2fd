"""What a test gets to see: messages as one person sees them, and what came of a click."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.fakes.teams.markup import markup_of
from tests.fakes.teams.reading import buttons_of, inputs_of, texts_of
from tests.fakes.teams.things import Json


class CardSeen:
    """Reads a card as a person does."""

    card: Json | None

    @property
    def texts(self) -> list[str]:
        return list(texts_of(self.card)) if self.card else []

    @property
    def seen(self) -> str:
        """Everything to read, a line each."""
        return "\n".join(self.texts)

    @property
    def titles(self) -> list[str]:
        """The titles of the buttons, those in inline cards too."""
        return [button.title for button in buttons_of(self.card)] if self.card else []

    @property
    def verbs(self) -> list[str]:
        """The verbs of the buttons (an Action.Submit's is in its data)."""
        return [button.verb for button in buttons_of(self.card) if button.verb] if self.card else []

    @property
    def inputs(self) -> dict[str, Json]:
        """The inputs by id, those in inline cards too."""
        if not self.card:
            return {}
        cards = [self.card, *(b.action["card"] for b in buttons_of(self.card) if "card" in b.action)]
        return {each["id"]: each for card in cards for each in inputs_of(card)}

    def action(self, name: str) -> Json:
        """The action of that title, verb or id."""
        return next(b.action for b in buttons_of(self.card or {}) if name in b.names)


@dataclass(frozen=True)
class Seen(CardSeen):
    """A message. ``refreshed``: this person sees a card that is theirs alone. ``history``: earlier activities."""

    id: str
    conversation: str
    root: str
    sender: str
    text: str
    summary: str
    card: Json | None
    edits: int
    deleted: bool
    activity: Json
    history: list[Json]
    refreshed: bool

    @property
    def markup(self) -> list[str]:
        """What is not shown as it is written; see markup.py."""
        return markup_of(self.card, self.activity)

    @property
    def is_reply(self) -> bool:
        return self.root != self.id


@dataclass(frozen=True)
class DialogSeen(CardSeen):
    """An open dialog."""

    person: str
    title: str
    card: Json | None
    conversation: str
    message: str


@dataclass(frozen=True)
class Answer:
    """How the bot answered one delivery; ``status`` 0: not in time."""

    status: int
    body: Any
    seconds: float
    attempts: int
    statuses: list[int]


@dataclass(frozen=True)
class Result(CardSeen):
    """What the person saw.

    ``kind``: card (shown in place of the message's, to them only), message (a text in passing), error (the bot's, with
    ``value`` {"status", "code", "message"}), dialog, closed (the dialog went), sent (an activity without an answer to
    show), nothing (nothing was sent), wrong ("Something went wrong"; ``value`` says why), or the type of an action that
    the client does itself.
    """

    kind: str
    value: Any = None
    status: int = 0
    body: Any = None
    seconds: float = 0.0
    attempts: int = 0
    statuses: list[int] = field(default_factory=list)
    answers: list[Json] = field(default_factory=list)
    message: Json | None = None
    url: str | None = None

    @property
    def card(self) -> Json | None:  # type: ignore[override]
        card = self.value.get("card") if self.kind == "dialog" else self.value
        return card if isinstance(card, dict) and self.kind in {"card", "dialog"} else None

    @property
    def said(self) -> str:
        """The text in passing, or the error's."""
        if isinstance(self.value, dict):
            return str(self.value.get("message", ""))
        return str(self.value or "")
