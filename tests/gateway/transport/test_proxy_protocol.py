"""PROXY preambles: what is understood, what is refused, and that no split of the bytes and no garbage changes either."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.transport.proxy_protocol import LONGEST, Preamble, Unread, parse

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V4 = ipaddress.IPv4Address("192.0.2.7").packed + ipaddress.IPv4Address("198.51.100.1").packed + struct.pack("!HH", 1, 2)
V6 = ipaddress.IPv6Address("2001:db8::7").packed * 2 + struct.pack("!HH", 1, 2)


def v2(command: int, family: int, block: bytes, length: int | None = None) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(block) if length is None else length) + block


GOOD = [
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n", "192.0.2.7"),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255"),
    (b"PROXY TCP6 2001:DB8:0::7 ::1 0 443\r\n", "2001:db8::7"),
    (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 443\r\n", "192.0.2.7"),
    (b"PROXY UNKNOWN\r\n", ""),
    (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", ""),
    (v2(0x21, 0x11, V4), "192.0.2.7"),
    (v2(0x21, 0x11, V4 + b"\x04\x00\x02ab" + b"\x05\x00\x00"), "192.0.2.7"),
    (v2(0x21, 0x21, V6), "2001:db8::7"),
    (v2(0x21, 0x21, ipaddress.IPv6Address("::ffff:192.0.2.7").packed * 2 + b"\0\1\0\2"), "192.0.2.7"),
    (v2(0x21, 0x31, b"/run/x".ljust(108, b"\0") * 2), ""),
    (v2(0x21, 0x00, b"whatever"), ""),
    (v2(0x20, 0x00, b""), ""),
    (v2(0x20, 0x11, V4), ""),
    (v2(0x20, 0x77, b"skipped"), ""),
]

BAD = [
    b"GET / HTTP/1.1\r\n",
    b"proxy TCP4 192.0.2.7 198.51.100.1 56324 443\r\n",
    b"PROXY  TCP4 192.0.2.7 198.51.100.1 56324 443\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443 1\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443 \r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 056 443\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 +56 443\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 \xb2 443\r\n",
    b"PROXY TCP4 192.0.2.07 198.51.100.1 1 443\r\n",
    b"PROXY TCP4 192.0.2.256 198.51.100.1 1 443\r\n",
    b"PROXY TCP4 ::1 ::1 1 443\r\n",
    b"PROXY TCP6 192.0.2.7 198.51.100.1 1 443\r\n",
    b"PROXY TCP6 fe80::1%eth0 ::1 1 443\r\n",
    b"PROXY TCP5 192.0.2.7 198.51.100.1 1 443\r\n",
    b"PROXY UNKNOWNX\r\n",
    b"PROXY \r\n",
    b"PROXY UNKNOWN " + b"x" * 100 + b"\r\n",
    b"\r\nPROXY UNKNOWN\r\n",
    v2(0x11, 0x11, V4),  # version 1 in the binary form
    v2(0x22, 0x11, V4),  # no such command
    v2(0x21, 0x12, V4),  # datagrams
    v2(0x21, 0x41, V4),  # no such family
    v2(0x21, 0x11, V4[:-1]),
    v2(0x21, 0x21, V6[:-1]),
    v2(0x21, 0x31, b"\0" * 215),
    v2(0x21, 0x11, V4 + b"\x04\x00\x03ab"),  # a TLV that is longer than what is there
    v2(0x21, 0x11, V4 + b"\x04\x00"),
    v2(0x21, 0x11, V4, length=LONGEST),
]


@pytest.mark.parametrize(("preamble", "source"), GOOD)
@pytest.mark.parametrize("rest", [b"", b"GET / HTTP/1.1\r\n\r\n", SIGNATURE, b"\r\n"])
def test_what_is_understood(preamble: bytes, source: str, rest: bytes) -> None:
    assert parse(preamble + rest) == Preamble(len(preamble), source)


@pytest.mark.parametrize(("preamble", "source"), GOOD)
def test_every_beginning_is_unfinished(preamble: bytes, source: str) -> None:
    assert {parse(preamble[:size]) for size in range(len(preamble))} == {Unread.UNFINISHED}


@pytest.mark.parametrize("data", BAD)
def test_what_is_malformed(data: bytes) -> None:
    assert parse(data) is Unread.MALFORMED


def test_what_never_ends_is_malformed_in_the_end() -> None:
    for data in (b"PROXY TCP4 " + b"1" * LONGEST, v2(0x21, 0x11, b"", length=65535)):
        assert parse(data) is Unread.MALFORMED


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(lambda more: SIGNATURE + more)))
def test_garbage_is_never_an_exception(data: bytes) -> None:
    found = parse(data)
    if isinstance(found, Preamble):
        assert 0 < found.size <= len(data)
        assert not found.source or str(ipaddress.ip_address(found.source)) == found.source


@given(st.sampled_from([preamble for preamble, _ in GOOD]), st.data())
def test_one_byte_changed_never_makes_an_exception_or_an_address_that_was_not_written(
    preamble: bytes, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(preamble) - 1))
    changed = preamble[:at] + bytes([data.draw(st.integers(0, 255))]) + preamble[at + 1 :]
    found = parse(changed)
    if isinstance(found, Preamble):
        assert found.size <= len(changed)
    else:
        assert found in Unread


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), st.integers(0, 65535))
def test_every_address_comes_through_in_both_versions(address: ipaddress.IPv4Address, port: int) -> None:
    word, family = ("TCP4", 0x11) if address.version == 4 else ("TCP6", 0x21)
    one = parse(f"PROXY {word} {address} {address} {port} {port}\r\n".encode())
    two = parse(v2(0x21, family, address.packed * 2 + struct.pack("!HH", port, port)))
    assert isinstance(one, Preamble)
    assert isinstance(two, Preamble)
    assert one.source == two.source
    mapped = getattr(address, "ipv4_mapped", None)
    assert one.source == str(mapped or address)
