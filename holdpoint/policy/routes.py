"""``routes``: in which channels the requests of a group are shown. Pure."""

from __future__ import annotations

from enum import StrEnum

from yaml.nodes import Node

from holdpoint.mailbox import mailbox
from holdpoint.model import Route
from holdpoint.policy.names import Names, read_group
from holdpoint.policy.reading import Reader, suggestion


class _Channel(StrEnum):
    WEB = "web"
    SLACK = "slack"
    TEAMS = "teams"
    EMAIL = "email"


def read_routes(reader: Reader, node: Node | None, names: Names) -> tuple[Route, ...]:
    """``routes``: ``[{group: contractors, channels: ["slack:C0123", web]}]``; ``*`` is everybody else."""
    found: dict[str, Route] = {}
    for item in reader.items(node, "routes") or ():
        fields = reader.fields(item, "a route", ("group", "channels"), required=("group", "channels"))
        if fields is None:
            continue
        wildcard = getattr(fields.get("group"), "value", None) == "*"
        group = "*" if wildcard else read_group(reader, fields.get("group"), names)
        channels = []
        for channel in reader.items(fields.get("channels"), "channels") or ():
            text = reader.text(channel, "a channel")
            if text is not None and _is_channel(reader, channel, text):
                channels.append(text)
        if group in found:
            reader.problem(item, f"the group {group!r} has two routes: write its channels in one")
        if group is not None:
            found[group] = Route(group, tuple(channels))
    return tuple(found.values())


def _is_channel(reader: Reader, node: Node, text: str) -> bool:
    kind, colon, target = text.partition(":")
    kinds = [channel.value for channel in _Channel]
    if kind not in kinds:
        hint = suggestion(kind, kinds) or f": it starts with one of {', '.join(kinds)}"
        reader.problem(node, f"channel {text!r} is of no known kind{hint}")
    elif kind == _Channel.WEB and colon:
        reader.problem(node, f"channel {text!r}: there is one web inbox: write web")
    elif kind != _Channel.WEB and not target.strip():
        reader.problem(node, f"channel {text!r} names no place: write {kind}:<id>")
    elif kind == _Channel.EMAIL and mailbox(target) is None:
        reader.problem(node, f"channel {text!r} is not one e-mail address: write email:team@example.com")
    else:
        return True
    return False
