r"""Text from a request, made safe to look at: what is hidden, or would act on a terminal, is written out. Pure.

::

    "pay 100\u202e001"  →  "pay 100⟨U+202E⟩001"

Every card, page, log line and terminal shows text from requests through this (promise 7). It does not escape markup;
that is the business of the place where the text appears.
"""

from __future__ import annotations

import re

# Control characters but \n and \t; the Default_Ignorable_Code_Point set of Unicode 16 (zero-width, bidirectional,
# fillers, variation selectors, tags); line and paragraph separators; annotation and hieroglyph format controls; the
# Braille blank; surrogates and noncharacters, which cannot be encoded or never stand for text.
_HIDDEN = re.compile(
    "["
    "\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f"
    "\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f"
    "\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u2800\\u3164"
    "\\ud800-\\udfff\\ufdd0-\\ufdef\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\\ufffe\\uffff"
    "\\U00013430-\\U0001343f\\U0001bca0-\\U0001bca3\\U0001d173-\\U0001d17a\\U000e0000-\\U000e0fff"
    "]"
)


def visible(text: str) -> str:
    """``text`` with every hidden or controlling character written as ``⟨U+XXXX⟩``; newline and tab stay.

    Applying it twice changes nothing more. The result holds no surrogate, so that it can always be encoded.
    """
    return _HIDDEN.sub(_written_out, text)


def visible_line(text: str) -> str:
    """The same for a place that has one line only: newline and tab are written out, too."""
    return visible(text).replace("\n", "⟨U+000A⟩").replace("\t", "⟨U+0009⟩")


def _written_out(match: re.Match[str]) -> str:
    return f"⟨U+{ord(match[0]):04X}⟩"
