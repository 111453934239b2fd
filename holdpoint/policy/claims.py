"""Claims of tokens, as ``issuers`` and ``groups`` name them: by a path, perhaps with the values that count. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from yaml.nodes import Node, ScalarNode

from holdpoint.policy.reading import Reader

LONGEST_CLAIM = 1000
_DEEPEST = 8  # names of a claim's path


def read_wanted(reader: Reader, node: Node | None, what: str) -> Mapping[str, tuple[str, ...]] | None:
    """Claim → the values of which it should have one: ``{tid: [11111111-…]}``, ``{idtyp: app}``. None for none."""
    entries = reader.entries(node, what)
    if node is None or entries is None:
        return None
    if not entries:
        reader.problem(node, f"{what} names no claim: name one or leave it out")
    found = {}
    for name, key, value in entries:
        if not _is_path(name):
            reader.problem(key, f"{what}: {name!r} is no path of a claim, such as realm_access.roles")
        found[name] = one_or_many(reader, value, f"{what}.{name}")
    return found


def one_or_many(reader: Reader, node: Node | None, what: str) -> tuple[str, ...]:
    """One text, or a list of them."""
    if isinstance(node, ScalarNode):
        text = reader.text(node, what, longest=LONGEST_CLAIM)
        return (text,) if text is not None else ()
    return reader.texts(node, what) or ()


def claim_paths(reader: Reader, what: str, fields: Mapping[str, Node]) -> Callable[[str], str | None]:
    """``path(field)``: the path of a claim that stands there."""

    def path(field: str) -> str | None:
        text = reader.text(fields.get(field), f"{what}: {field}", longest=LONGEST_CLAIM)
        if text is not None and not _is_path(text):
            reader.problem(fields[field], f"{what}: {field} {text!r} is no path of a claim, such as realm_access.roles")
        return text

    return path


def _is_path(text: str) -> bool:
    # SAML names attributes by object identifiers, whose dots lead nowhere.
    short = text.startswith("urn:") or len(text.split(".")) <= _DEEPEST
    return text.isprintable() and text.strip() == text and short and bool(text)
