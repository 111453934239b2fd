"""One e-mail address, as routes and settings write it and mail servers take it. Pure.

RFC 5321: a dot-atom, ``@`` and a domain, in ASCII; a domain in other letters is written as IDNA. No display names, no
quoted local parts, no address literals: nothing that a mail server and a person could read in two ways.
"""

from __future__ import annotations

import re

from holdpoint.visible import visible_line

LONGEST = 254
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def mailbox(text: str) -> str | None:
    """``text`` as a mail server takes it, with its domain in lower case; None when it is not exactly one address."""
    local, at, domain = text.rpartition("@")
    if not at or len(local) > 64 or not _LOCAL.fullmatch(local) or visible_line(domain) != domain:
        return None
    try:
        ascii_domain = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return None
    if not all(_LABEL.fullmatch(label) for label in ascii_domain.split(".")):
        return None
    address = f"{local}@{ascii_domain}"
    return address if len(address) <= LONGEST else None
