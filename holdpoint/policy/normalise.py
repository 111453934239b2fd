r"""Text as a model may read it, for matching only. Pure.

::

    raw      "p\u200bａss  pаssword"      what the requester sent (the а is Cyrillic)
    clean    "pass  pаssword"             NFKC, invisible and control characters removed
    folded   "pass  password"             look-alikes and accents folded to ASCII

A pattern that matches any of the three counts. Nothing of this is ever forwarded or shown: spans are mapped back to
the raw text, character by character (``Mapped``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

# Control characters but tab, newline and return; default-ignorable and format characters (general category Cf);
# variation selectors, tags, fillers, the Braille blank. One list serves this file and, as a class, RE2.
_HIDDEN_RANGES = (
    (0x00, 0x08), (0x0B, 0x0C), (0x0E, 0x1F), (0x7F, 0x9F), (0xAD, 0xAD), (0x34F, 0x34F), (0x600, 0x605),
    (0x61C, 0x61C), (0x6DD, 0x6DD), (0x70F, 0x70F), (0x890, 0x891), (0x8E2, 0x8E2), (0x115F, 0x1160),
    (0x17B4, 0x17B5), (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x2800, 0x2800),
    (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB), (0x110BD, 0x110BD),
    (0x110CD, 0x110CD), (0x13430, 0x1343F), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip  # a table reads better in rows
_HIDDEN = frozenset(chr(code) for first, last in _HIDDEN_RANGES for code in range(first, last + 1))

# Letters that look like ASCII letters and are not taken apart by Unicode's own decompositions.
_LOOK_ALIKES = {
    "АВЕЅІЈКМНОРСТУХԚԜҮЗ": "ABESIJKMHOPCTYXQWY3",
    "аеѕіјорсухһԁԛԝүкмтвн": "aesijopcyxhdqwykmtbh",
    "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧϹ": "ABEZHIKMNOPTYXC",
    "αικνορτυχϲγωε": "aiknoptuxcywe",
    "օսհոցԼՏ": "ouhngLS",
    "ᎪᏴᏟᎠᎬᎻᎫᏦᏞᎷᏢᎡᏚᎢᏙᎳᏃ": "ABCDEHJKLMPRSTVWZ",
    "ɑɡɩɪʏʀɴʟʙɢʜᴀᴄᴅᴇᴊᴋᴍᴏᴘᴛᴜᴠᴡᴢꜱ": "agiiyrnlbghacdejkmoptuvwzs",
    "ıȷłŁøØđĐħŦŧƄɓɗƙɲƭƴʋɨʉɵ": "ijlLoOdDhTtbbdknTyvxuo".replace("Tyvx", "tyvi"),
    "‐‑‒–—−․‚‘’“”⁄∕": "------.,''\"\"//",
}
_FOLDS = {key: value for keys, values in _LOOK_ALIKES.items() for key, value in zip(keys, values, strict=True)}

# Blocks of combining marks that decorate Latin, Greek and Cyrillic letters; marks of other scripts carry meaning.
_MARK_RANGES = ((0x300, 0x36F), (0x483, 0x489), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x20D0, 0x20FF), (0xFE20, 0xFE2F))
_MARKS = frozenset(chr(code) for first, last in _MARK_RANGES for code in range(first, last + 1))

_FOLDABLE_RANGES = (
    (0xC0, 0x58F), (0x13A0, 0x13FF), (0x1AB0, 0x1AFF), (0x1D00, 0x1FFF), (0x2010, 0x2044), (0x20D0, 0x20FF),
    (0x2212, 0x2215), (0xA700, 0xA7FF), (0xFE20, 0xFE2F),
)  # fmt: skip  # a table reads better in rows


def _re2_class(ranges: tuple[tuple[int, int], ...]) -> str:
    return "[" + "".join(rf"\x{{{first:X}}}-\x{{{last:X}}}" for first, last in ranges) + "]"


HIDDEN_CLASS = _re2_class(_HIDDEN_RANGES)
"""RE2 class of what `clean` removes."""
FOLDABLE_CLASS = _re2_class(_FOLDABLE_RANGES)
"""RE2 class that contains everything that `fold` may change."""

# Hangul vowels and tails, and some vowel signs of Indic scripts: they make one letter with the one before them, without
# being combining marks.
_JOINING_RANGES = ((0x1160, 0x11FF), (0xD7B0, 0xD7FF))
_JOINING = frozenset(
    "\u09be\u09d7\u0b3e\u0b56\u0b57\u0bbe\u0bd7\u0cc2\u0cd5\u0cd6\u0d3e\u0d57\u0dcf\u0ddf\u102e\u1b35"
    "\U00011127\U0001133e\U00011357\U000114b0\U000114ba\U000114bd\U000115af\U00011930"
) | {chr(code) for first, last in _JOINING_RANGES for code in range(first, last + 1)}


def clean(text: str) -> str:
    """``text`` in NFKC without invisible characters. Equal to ``text`` when there is nothing to do."""
    for character in _HIDDEN & _unusual(text):
        text = text.replace(character, "")
    return compose(text)


def compose(text: str) -> str:
    """``text`` in NFKC."""
    return text if unicodedata.is_normalized("NFKC", text) else unicodedata.normalize("NFKC", text)


_ESCAPE = re.compile(  # of JSON; a character beyond the first 65,536 is written as two
    r"""\\(?:u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|["\\/bfnrt])"""
)
_SHORT_ESCAPES = {'\\"': '"', "\\/": "/", "\\b": "\b", "\\f": "\f", "\\n": "\n", "\\r": "\r", "\\t": "\t"}


def unescape(text: str) -> str:
    """``text`` without the escapes of JSON, as whoever reads it as JSON sees its strings."""
    if "\\u" in text:
        return _ESCAPE.sub(_unescaped, text)
    pieces = text.split("\\\\")
    for escape, character in _SHORT_ESCAPES.items():
        if escape in text:
            pieces = [piece.replace(escape, character) for piece in pieces]
    return "\\".join(pieces)


def _unescaped(escape: re.Match[str]) -> str:
    found = escape[0]
    if len(found) == 2:
        return _SHORT_ESCAPES.get(found, "\\")
    code = int(found[2:6], 16)
    if len(found) > 6:
        code = 0x10000 + (code - 0xD800 << 10) + int(found[8:], 16) - 0xDC00
    return chr(code)


def fold(text: str) -> str:
    """A cleaned text with accents dropped and look-alikes replaced, each character by itself."""
    changed = {ord(c): folded for c in _unusual(text) if (folded := _fold_character(c)) != c}
    if len(changed) <= 24:  # some replacements are much faster than one translation
        for code, folded in changed.items():
            text = text.replace(chr(code), folded)
        return text
    return text.translate(changed)


_PLAIN = bytes(range(0x20, 0x7F)) + b"\t\n\r"


def _unusual(text: str) -> set[str]:
    """The distinct characters beyond plain ASCII; found as bytes, because most texts have few of them."""
    return set(text.encode("utf-8", "surrogatepass").translate(None, _PLAIN).decode("utf-8", "surrogatepass"))


@lru_cache(maxsize=8192)
def _fold_character(character: str) -> str:
    if character in _FOLDS:
        return _FOLDS[character]
    parts = unicodedata.normalize("NFKD", character)
    if len(parts) == 1:
        return "" if character in _MARKS else character
    bare = "".join(_FOLDS.get(c, c) for c in parts if c not in _MARKS)
    # Anything but a decorated letter (a Hangul syllable, a struck-out arrow) stays composed.
    return bare if len(bare) < len(parts) and parts[0].isalpha() else character


@dataclass(frozen=True, slots=True)
class Mapped:
    """A normalised text with the way back: its character ``i`` comes from ``raw[starts[i]:ends[i]]``."""

    text: str
    starts: list[int]
    ends: list[int]

    def back(self, start: int, end: int) -> tuple[int, int]:
        """The span of the raw text that became ``text[start:end]`` (which is not empty)."""
        return self.starts[start], self.ends[end - 1]


def mapped(raw: str, *, folded: bool) -> Mapped:
    """``clean(raw)``, or its fold, built character by character so that spans can be mapped back."""
    step: Callable[[str], str] = _clean_and_fold if folded else clean
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    start, length = 0, len(raw)
    while start < length:
        end = start + 1
        while end < length and _joins(raw[end]):
            end += 1
        piece = raw[start] if end == start + 1 and " " <= raw[start] <= "~" else step(raw[start:end])
        pieces.append(piece)
        starts += [start] * len(piece)
        ends += [end] * len(piece)
        start = end
    return Mapped("".join(pieces), starts, ends)


def unescaped(raw: str) -> Mapped:
    """``unescape(raw)`` with the way back."""
    pieces: list[str] = []
    starts: list[int] = []
    position = 0
    for escape in _ESCAPE.finditer(raw):
        pieces += [raw[position : escape.start()], _unescaped(escape)]
        starts += [*range(position, escape.start()), escape.start()]
        position = escape.end()
    pieces.append(raw[position:])
    starts += range(position, len(raw))
    return Mapped("".join(pieces), starts, [*starts, len(raw)][1:])


def _clean_and_fold(text: str) -> str:
    return fold(clean(text))


@lru_cache(maxsize=8192)
def _joins(character: str) -> bool:
    """Whether the character belongs to the one before it, as it stands or once it is normalised."""
    if " " <= character <= "~":
        return False
    first = unicodedata.normalize("NFKD", character)[0]
    return character in _HIDDEN or unicodedata.combining(first) != 0 or first in _JOINING
