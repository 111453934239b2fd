r"""One pattern or keyword of the policy, made ready for RE2; what is wrong with it, in plain words. Pure.

``'(?i)\bkey'`` → ``(?m:(?i)\bkey)`` · ``apollo program`` → ``(?i)\b(apollo\s+program)\b``. With `matchers` the only importer of RE2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import re2  # type: ignore[import-untyped]  # google-re2 ships no types; the Protocols below are what is used of it

from holdpoint.policy.normalise import clean

MAX_PATTERN_LENGTH = 2_000
MAX_PATTERNS = 10_000
MAX_PROGRAM_SIZE = 20_000  # RE2 instructions of one pattern, its counted repetitions written out
MAX_TOTAL_PROGRAM_SIZE = 2_000_000  # of all patterns of a document


_SPACES = r"[\s\v\x{85}\x{1680}\x{2028}\x{2029}]+"  # RE2's \s, and what NFKC makes no space of


class BadPattern(ValueError):
    """A pattern that cannot be used. ``str()`` says why, for its author."""


class Match(Protocol):
    def span(self, group: int = 0) -> tuple[int, int]: ...


class Regex(Protocol):
    def search(self, text: bytes, pos: int | None = None) -> Match | None: ...


@dataclass(frozen=True)  # no slots: what is cached is kept beside the fields
class TextPattern:
    """One pattern, ready for RE2. ``group`` is the capture group that holds what was meant (0: all of it).

    ``size`` counts RE2's instructions; ``in_nothing``: it matches an empty text.
    """

    regex: str
    group: int = 0
    size: int = 1
    in_nothing: bool = False

    @cached_property
    def compiled(self) -> Regex:
        """For the few that ever match: thousands at once take long to throw away, and nothing runs meanwhile."""
        made: Regex = _compile(self.regex)
        return made

    def matches(self, text: str) -> bool:
        """Whether it matches anywhere in ``text`` as it stands, without normalisation."""
        return self.compiled.search(encode(text)) is not None


def pattern(source: str) -> TextPattern:
    """A policy's regular expression. ``^`` and ``$`` mean the ends of lines.

    Raises:
        BadPattern: it is too long, too large, or not RE2 syntax.
    """
    if len(source) > MAX_PATTERN_LENGTH:
        raise BadPattern(f"is longer than {MAX_PATTERN_LENGTH} characters")
    _compile(source)  # by itself first: the group around it must not make an unbalanced pattern valid
    regex = f"(?m:{source})"
    compiled = _compile(regex)
    if compiled.programsize > MAX_PROGRAM_SIZE:
        raise BadPattern("is too large once its counted repetitions are written out")
    return _made(regex, 0, compiled)


def keyword(word: str) -> TextPattern:
    """A word or phrase: any case, whole words only, any white space between its words.

    Raises:
        BadPattern: it is empty or too long.
    """
    words = clean(word).split()
    if not words:
        raise BadPattern("is empty")
    if len(word) > MAX_PATTERN_LENGTH // 4:
        raise BadPattern(f"is longer than {MAX_PATTERN_LENGTH // 4} characters")
    body = _SPACES.join(re2.escape(part) for part in words)
    before, after = _boundary(words[0][0], "^"), _boundary(words[-1][-1], "$")
    regex = f"(?i){before}({body}){after}"
    group = 1 if "(?:" in before + after else 0
    return _made(regex, group, _compile(regex))


def _made(regex: str, group: int, compiled: re2._Regexp) -> TextPattern:
    return TextPattern(regex, group, compiled.programsize, compiled.search(b"") is not None)


def _boundary(character: str, edge: str) -> str:
    r"""RE2's ``\b`` knows ASCII only; beside other letters the boundary is spelled out."""
    if character.isascii():
        return r"\b" if character.isalnum() or character == "_" else ""
    return rf"(?:{edge}|[^\pL\pN\pM_])" if character.isalnum() else ""


def glob(globs: Sequence[str]) -> Regex:
    """One regular expression for all ``globs`` (``*`` any characters, ``?`` one), in any case, over the whole text."""
    parts = ("".join({"*": ".*", "?": "."}.get(c) or re2.escape(c) for c in g) for g in globs)
    compiled: Regex = _compile(r"(?is)\A(?:" + "|".join(parts) + r")\z")
    return compiled


def _compile(source: str) -> re2._Regexp:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(source.encode(), options)
    except re2.error as error:
        raise BadPattern(_in_plain_words(error)) from None
    except UnicodeEncodeError:
        raise BadPattern("contains half of a surrogate pair") from None


def _in_plain_words(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    message = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    tail = message.rpartition(": ")[2]
    if tail in ("(?=", "(?!", "(?<=", "(?<!", "(?<"):
        return f"uses look-around ({tail}…), which a linear-time engine cannot do: say it with `unless` or `not`"
    if message.startswith("invalid escape sequence") and (tail[-1:].isdigit() or tail == r"\k"):
        return f"uses a back-reference ({tail}), which a linear-time engine cannot do"
    if tail == r"\Z":
        return r"uses \Z: write \z for the end of the text"
    if message.startswith("invalid repetition size"):
        return f"repeats too often ({tail}): at most 1000 times, all nested counts multiplied"
    return f"is not a valid pattern: {message}"


def encode(text: str) -> bytes:
    """UTF-8. Half of a surrogate pair becomes one ``?``, so that code points can still be counted."""
    return text.encode("utf-8", "replace")
