"""Text from outside, so that no mail program makes a link of it. Pure.

Mail programs look for addresses in the text that they show. In HTML a text is put in pieces, each in an element of its
own, cut where such an address would begin or go on: it looks the same. Plain text has no elements, so there the dots
and colons that would make an address are put in brackets: ``https[:]//evil[.]test``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SCHEME = re.compile(
    r"(?<=[A-Za-z0-9+-]):(?=//)|(?i:(?<=\bmailto)|(?<=\btel)|(?<=\bsms)|(?<=\bdata)|(?<=\bjavascript)):"
)
_DOT = re.compile(r"(?<=\w)\.(?=[^\W\d_]{2})")
_CUT = re.compile(rf"(?={_SCHEME.pattern}|{_DOT.pattern}|(?<=\S)@(?=\S))")


@dataclass(frozen=True, slots=True)
class Text:
    """One text: ``plain`` for the text part, ``lines`` of pieces for the HTML part."""

    plain: str
    lines: tuple[tuple[str, ...], ...]

    @property
    def quoted(self) -> str:
        """For the text part, each line behind a bar: none can be taken for one of ours."""
        return "\n".join(f"  | {line}".rstrip() for line in self.plain.split("\n"))


def text(words: str) -> Text:
    """``words``, with nothing hidden in them (see `holdpoint.visible`), of one or several lines."""
    return Text(unlinked(words), tuple(tuple(_CUT.split(line)) for line in words.split("\n")))


def unlinked(words: str) -> str:
    """``words`` as plain text in which nothing is an address."""
    return _DOT.sub("[.]", _SCHEME.sub("[:]", words))
