r"""The PROXY protocol, versions 1 and 2: the line with which a load balancer says whose connection it passes on.

::

    PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n              version 1: text, 107 bytes at most
    signature (12) version+command family length (2) addresses TLVs   version 2: binary

Pure: bytes in, an answer out, never an exception. Whether there is a preamble at all is configured and never guessed.
Source: haproxy's ``doc/proxy-protocol.txt``, sections 2.1 and 2.2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from holdpoint.addresses import normalised

LONGEST = 4096
"""Bytes of the longest preamble that is taken. Version 2 could announce 64 KB; real ones have some hundred."""

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_HEAD = 16  # bytes of version 2 that come before the addresses
_LONGEST_LINE = 107
_PORT = re.compile(r"0|[1-9][0-9]{0,4}")
_LOCAL, _PROXY = 0x20, 0x21
# family and transport → bytes of one address, bytes of the whole block. Datagrams have no business on a connection.
_FAMILIES = {0x11: (4, 12), 0x21: (16, 36), 0x31: (0, 216)}
_UNKNOWN_FAMILY = 0x00


@dataclass(frozen=True, slots=True)
class Preamble:
    """``size`` bytes at the start of the connection; the rest is the client's.

    ``source`` is the client's address; empty when the sender speaks for itself or does not know (health checks).
    """

    size: int
    source: str


class Unread(Enum):
    """Why there is no `Preamble`."""

    UNFINISHED = auto()
    """What came is the beginning of one. All of it belongs to the preamble."""
    MALFORMED = auto()
    """No continuation makes it one."""


def parse(data: bytes) -> Preamble | Unread:
    """The preamble at the start of ``data``."""
    if data[: len(_SIGNATURE)] == _SIGNATURE[: len(data)]:
        return _version_2(data)
    return _version_1(data)


def _version_1(data: bytes) -> Preamble | Unread:
    line, found, _ = data[:_LONGEST_LINE].partition(b"\r\n")
    if not found:
        begins = data[:6] == b"PROXY "[: len(data)]
        return Unread.UNFINISHED if begins and len(data) < _LONGEST_LINE else Unread.MALFORMED
    size = len(line) + 2
    if line == b"PROXY UNKNOWN" or line.startswith(b"PROXY UNKNOWN "):
        return Preamble(size, "")  # what follows the word is to be ignored
    words = line.decode("latin-1").split(" ")
    if len(words) != 6 or words[0] != "PROXY" or words[1] not in ("TCP4", "TCP6"):
        return Unread.MALFORMED
    six = words[1] == "TCP6"
    ends = [normalised(text) if (":" in text) is six else None for text in words[2:4]]
    if None in ends or not all(_PORT.fullmatch(port) and int(port) <= 65535 for port in words[4:]):
        return Unread.MALFORMED
    return Preamble(size, ends[0] or "")


def _version_2(data: bytes) -> Preamble | Unread:
    if len(data) < _HEAD:
        # What is there of version and family is judged now, so that nobody waits for the rest of what is wrong already.
        return Unread.UNFINISHED if len(data) < 13 or data[12] in (_LOCAL, _PROXY) else Unread.MALFORMED
    command, family, length = data[12], data[13], int.from_bytes(data[14:16], "big")
    size = _HEAD + length
    if command not in (_LOCAL, _PROXY) or size > LONGEST:
        return Unread.MALFORMED
    if family != _UNKNOWN_FAMILY and command == _PROXY and (family not in _FAMILIES or length < _FAMILIES[family][1]):
        return Unread.MALFORMED
    if len(data) < size:
        return Unread.UNFINISHED
    if command == _LOCAL or family == _UNKNOWN_FAMILY:
        return Preamble(size, "")  # the block is to be skipped, whatever it is
    one, block = _FAMILIES[family]
    if not _are_tlvs(data[_HEAD + block : size]):
        return Unread.MALFORMED
    return Preamble(size, (normalised(data[_HEAD : _HEAD + one]) or "") if one else "")


def _are_tlvs(data: bytes) -> bool:
    """Whether ``data`` is a whole number of type (1 byte), length (2) and value."""
    at = 0
    while at + 3 <= len(data):
        at += 3 + int.from_bytes(data[at + 1 : at + 3], "big")
    return at == len(data)
