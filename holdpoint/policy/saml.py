"""``saml``: the identity providers at which people sign in to the web inbox by SAML 2.0. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from yaml.nodes import Node

from holdpoint.policy.issuers import parse_address
from holdpoint.policy.reading import Reader

_LONGEST = 1000
_LONGEST_CERTIFICATE = 16_384
_FIELDS = ("entity_id", "sso_url", "certificates", "requester", "name", "groups")
_PEM = re.compile(r"\s*-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*")


@dataclass(frozen=True, slots=True)
class SamlProvider:
    """Where people sign in by SAML 2.0, and whose word is taken: signed by the key of one of ``certificates`` (PEM).

    ``requester``, ``name`` and ``groups`` are names of attributes. Without ``requester`` the NameID is the e-mail address.
    """

    entity_id: str
    sso_url: str
    certificates: tuple[str, ...]
    requester: str | None = None
    name: str | None = None
    groups: str | None = None


def read_saml(reader: Reader, node: Node | None) -> tuple[SamlProvider, ...]:
    """``saml``: one entry for each identity provider."""
    found: dict[str, SamlProvider] = {}
    for item in reader.items(node, "saml") or ():
        fields = reader.fields(item, "a SAML provider", _FIELDS, required=("entity_id", "sso_url", "certificates"))
        if fields is None:
            continue
        name = reader.text(fields.get("entity_id"), "entity_id", longest=_LONGEST) or ""
        what = f"SAML provider {name!r}"
        if name in found:
            reader.problem(item, f"{what} stands twice: write all its certificates in one entry")
        certificates = [
            reader.parsed(each, f"{what}: certificates", _parse_certificate, shown=False) or ""
            for each in reader.items(fields.get("certificates"), f"{what}: certificates") or ()
        ]
        if not certificates and "certificates" in fields:
            reader.problem(fields["certificates"], f"{what}: without a certificate nobody's word can be checked")

        def attribute(field: str, fields: dict[str, Node] = fields, what: str = what) -> str | None:
            return reader.text(fields.get(field), f"{what}: {field}", longest=_LONGEST)

        found[name] = SamlProvider(
            name,
            reader.parsed(fields.get("sso_url"), f"{what}: sso_url", parse_address, shown=False) or "",
            tuple(certificates),
            attribute("requester"),
            attribute("name"),
            attribute("groups"),
        )
    return tuple(found.values())


def _parse_certificate(text: str) -> str:
    """PEM, or what stands in a provider's metadata: base64 alone. Returned as PEM."""
    found = _PEM.fullmatch(text)
    inner = re.sub(r"\s", "", found[1] if found else text)
    try:
        content = base64.b64decode(inner, validate=True)
    except (binascii.Error, ValueError):
        content = b""
    if len(inner) > _LONGEST_CERTIFICATE or not _is_whole(content):
        raise ValueError("is no certificate in PEM")
    lines = "\n".join(inner[at : at + 64] for at in range(0, len(inner), 64))
    return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"


def _is_whole(content: bytes) -> bool:
    """Whether it is one DER sequence (X.690, 8.1.3) from its first byte to its last one: nothing was lost in copying."""
    if len(content) < 4 or content[:2] != b"\x30\x82":  # every certificate has more than 255 bytes
        return False
    return int.from_bytes(content[2:4], "big") == len(content) - 4
