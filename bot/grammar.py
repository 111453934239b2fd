"""Text that people type → words and parameters. Pure: knows the shape of commands, and none of them.

A command's *form* is what help shows, and what is parsed by: ``route add <group> <channel>``.

::

    word          as it stands, in any case          a|b           one of these words; behind a <name> a word alone, too
    <name>        one word, or several in quotes     [name] [a|b]  the same, and may be left out
    <name…>       all the rest, as it was typed      [name…]

Quotes are ``"…"`` and ``'…'``, and those that phones put in their place (``“…”``, ``‘…’``, ``„…“``, ``«…»``). One that is
not closed, or stands inside a word, is a character like any other: ``don't`` is a word, and no text is ever refused.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_QUOTES = {'"': '"', "'": "'", "“": "”“", "”": "”", "„": "“”", "‘": "’", "’": "’", "‚": "‘’", "«": "»", "»": "«"}
_NEAR = 0.6
_LONGEST_WORD = 40  # what is longer is no misspelt command, and comparing it takes long


@dataclass(frozen=True, slots=True)
class Token:
    """One word, without its quotes, and where it stands in the text, quotes included."""

    text: str
    start: int
    end: int
    quoted: bool = False


def tokens_of(text: str) -> tuple[Token, ...]:
    """The words of ``text``."""
    found: list[Token] = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        token = _quoted(text, at) or _plain(text, at)
        found.append(token)
        at = token.end
    return tuple(found)


def _quoted(text: str, start: int) -> Token | None:
    """The quoted word that begins at ``start``; None when no quote does, or none closes it before a blank or the end."""
    closing = _QUOTES.get(text[start], "")
    for end in range(start + 1, len(text)):
        if text[end] in closing and (end + 1 == len(text) or text[end + 1].isspace()):
            return Token(text[start + 1 : end], start, end + 1, quoted=True)
    return None


def _plain(text: str, start: int) -> Token:
    end = start
    while end < len(text) and not text[end].isspace():
        end += 1
    return Token(text[start:end], start, end)


@dataclass(frozen=True, slots=True)
class Parameter:
    """``choices`` is empty for any word. ``rest``: takes everything that is left, as it was typed."""

    name: str
    required: bool
    choices: tuple[str, ...] = ()
    rest: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """One command's shape."""

    shown: str
    words: tuple[str, ...]
    parameters: tuple[Parameter, ...]

    @classmethod
    def parse(cls, shown: str) -> Form:
        """A form as it is written in a table of commands."""
        pieces = shown.split()
        words = list(itertools.takewhile(lambda piece: piece.replace("-", "").isalpha(), pieces))
        return cls(shown, tuple(words), tuple(_parameter(piece) for piece in pieces[len(words) :]))

    def bind(self, text: str, tokens: Sequence[Token]) -> Mapping[str, str] | None:
        """What each parameter stands for; None when what follows the words does not fit. ``tokens`` are of ``text``."""
        found: dict[str, str] = {}
        left = list(tokens[len(self.words) :])
        for parameter in self.parameters:
            value = _take(parameter, text, left)
            if value is not None:
                found[parameter.name] = value
            elif parameter.required:
                return None
        return None if left else found


def _parameter(piece: str) -> Parameter:
    optional = piece.startswith("[")
    inner = piece.strip("<>[]")
    rest = inner.endswith("…")
    is_choice = "|" in inner if piece.startswith("[") else not piece.startswith("<")
    return Parameter(inner.rstrip("…"), not optional, tuple(inner.split("|")) if is_choice else (), rest)


def _take(parameter: Parameter, text: str, left: list[Token]) -> str | None:
    """The parameter's value, taken off ``left``; None when it is not there."""
    if not left:
        return None
    first = left[0]
    if parameter.rest:
        value = first.text if len(left) == 1 else text[first.start : left[-1].end]
        left.clear()
        return value
    if parameter.choices:
        word = first.text.casefold()
        return _choice(word, left) if word in parameter.choices and not first.quoted else None
    return left.pop(0).text


def _choice(word: str, left: list[Token]) -> str:
    left.pop(0)
    return word


def begins(form: Form, words: Sequence[str]) -> bool:
    """Whether the typed ``words`` are the form's own words, or start with them."""
    return len(words) >= len(form.words) and tuple(words[: len(form.words)]) == form.words


def partial(forms: Iterable[Form], words: Sequence[str]) -> list[Form]:
    """The forms that what was typed may have been the start of: those with the most words in common."""
    counted = [(_common(form.words, words), form) for form in forms]
    most = max((count for count, _ in counted), default=0)
    return [form for count, form in counted if count == most] if most else []


def _common(ours: Sequence[str], typed: Sequence[str]) -> int:
    count = 0
    while count < min(len(ours), len(typed)) and ours[count] == typed[count]:
        count += 1
    return count


def nearest(forms: Iterable[Form], words: Sequence[str]) -> Form | None:
    """The form whose words are most like those that were typed; None when none is."""
    best, found = _NEAR, None
    for form in forms:
        typed = " ".join(word[:_LONGEST_WORD] for word in words[: len(form.words)])
        likeness = difflib.SequenceMatcher(None, " ".join(form.words), typed).ratio()
        if likeness > best:
            best, found = likeness, form
    return found
