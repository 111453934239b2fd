"""The parts of the document around the rules: connections, groups, roles, defaults, sets, masks, routes. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from enum import StrEnum
from urllib.parse import urlsplit

from yaml.nodes import Node

from holdpoint.mailbox import mailbox
from holdpoint.model import Connection, OnTimeout, Requirement, Risk, Role, Route, Verdict
from holdpoint.policy.document import Defaults, Group, Mask, Rule, TeamsTerms
from holdpoint.policy.hours import read_hours
from holdpoint.policy.issuers import is_group_name, parse_secret, read_wanted
from holdpoint.policy.patterns import TextPattern, keyword, pattern
from holdpoint.policy.reading import Reader, suggestion
from holdpoint.policy.rules import read_group, read_reviewers
from holdpoint.policy.when import Names, read_named_sets, read_patterns

# Paths of the gateway's own, which a connection's name would hide.
_RESERVED_CONNECTIONS = ("holds", "healthz", "readyz", "metrics")
_PROTOCOLS = ("openai",)
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TEAM = re.compile(r"19:[A-Za-z0-9_-]{1,150}@thread\.(tacv2|skype)")
_ROLE_NAMES = {"admins": Role.ADMIN, "auditors": Role.AUDITOR, "reviewers": Role.REVIEWER}


class _Channel(StrEnum):
    WEB = "web"
    SLACK = "slack"
    TEAMS = "teams"
    EMAIL = "email"


def read_connections(reader: Reader, node: Node | None) -> dict[str, Connection]:
    """``connections``: name → upstream, protocol, environment, credential."""
    if node is None:
        reader.warn(1, "there are no connections: every request is refused")
    found = {}
    for name, key, value in reader.entries(node, "connections") or ():
        what = f"connection {name!r}"
        fields = reader.fields(
            value, what, ("upstream", "protocol", "environment", "credential"), required=("upstream", "protocol")
        )
        if not _is_path_segment(name):
            reader.problem(key, f"{what}: the name is part of a URL: use a-z, 0-9, '-' and '_' (at most 64)")
        elif name in _RESERVED_CONNECTIONS:
            reader.problem(key, f"{what}: the name is reserved for the gateway itself")
        if fields is None:
            continue
        protocol = reader.text(fields.get("protocol"), f"{what}: protocol")
        if protocol is not None and protocol not in _PROTOCOLS:
            reader.problem(fields["protocol"], f"{what}: protocol {protocol!r} is not one of {', '.join(_PROTOCOLS)}")
        found[name] = Connection(
            name,
            reader.parsed(fields.get("upstream"), f"{what}: upstream", _parse_upstream, shown=False) or "",
            protocol or "",
            reader.text(fields.get("environment"), f"{what}: environment", longest=64) or "production",
            reader.parsed(fields.get("credential"), f"{what}: credential", parse_secret, shown=False),
        )
    return found


def _is_path_segment(name: str) -> bool:
    bare = name.replace("-", "").replace("_", "")
    return 0 < len(name) <= 64 and name[0] not in "-_" and bare.isascii() and bare.isalnum() and bare == bare.lower()


def _parse_upstream(text: str) -> str:
    try:
        url = urlsplit(text)
        _ = url.port  # raises for a port that is no number
    except ValueError:
        raise ValueError("is not a URL") from None
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError("is not an http:// or https:// URL")
    if url.username is not None or url.password is not None:
        raise ValueError("carries a credential: name it in credential: env:NAME")
    if url.query or url.fragment or any(c.isspace() or ord(c) < 32 for c in text):
        raise ValueError("may have a path, but no query, fragment or white space")
    return text.rstrip("/")


def read_groups(reader: Reader, node: Node | None) -> dict[str, Group]:
    """``groups``: name → members, claims, and the lists of people that platforms keep."""
    found = {}
    for name, key, value in reader.entries(node, "groups") or ():
        what = f"group {name!r}"
        fields = reader.fields(
            value, what, ("members", "slack_usergroup", "claims", "teams_team", "entra_group", "hours")
        )
        if not is_group_name(name):
            reader.problem(key, f"{what}: not a name for a group")
        if fields is None:
            continue
        if not fields:
            reader.warn(key, f"{what} is empty: only keys and tokens can carry it")
        members = reader.texts(fields.get("members"), f"{what}: members") or ()
        slack = reader.text(fields.get("slack_usergroup"), f"{what}: slack_usergroup", longest=64)
        claims = read_wanted(reader, fields.get("claims"), f"{what}: claims")
        team = reader.parsed(fields.get("teams_team"), f"{what}: teams_team", _parse_team)
        entra = reader.parsed(fields.get("entra_group"), f"{what}: entra_group", _parse_guid)
        hours = read_hours(reader, fields.get("hours"), f"{what}: hours")
        people = frozenset(m.strip().lower() for m in members)
        found[name] = Group(name, people, slack, claims or None, team, entra, hours)
    return found


def read_teams(reader: Reader, node: Node | None) -> TeamsTerms:
    """``teams: {guests: true, tenants: [11111111-2222-3333-4444-555555555555]}``."""
    fields = reader.fields(node, "teams", ("guests", "tenants")) or {}
    tenants = [
        reader.parsed(item, "teams.tenants", _parse_guid) or ""
        for item in reader.items(fields.get("tenants"), "teams.tenants") or ()
    ]
    return TeamsTerms(bool(reader.flag(fields.get("guests"), "teams.guests")), frozenset(filter(None, tenants)))


def _parse_guid(text: str) -> str:
    if not _GUID.fullmatch(text):
        raise ValueError("is no id such as 11111111-2222-3333-4444-555555555555")
    return text.lower()


def _parse_team(text: str) -> str:
    if not _TEAM.fullmatch(text):
        raise ValueError("is no id of a team, such as 19:abc…@thread.tacv2")
    return text


def read_roles(reader: Reader, node: Node | None, names: Names) -> dict[Role, tuple[str, ...]]:
    """``roles``: which groups have them, in the order of the document."""
    found = {}
    fields = reader.fields(node, "roles", tuple(_ROLE_NAMES)) or {}
    for name, value in fields.items():
        groups = reader.texts(value, f"roles.{name}") or ()
        for group in groups:
            names.check_group(reader, value, group)
        found[_ROLE_NAMES[name]] = groups
    return found


def all_roles(
    roles: dict[Role, tuple[str, ...]], defaults: Defaults, rules: tuple[Rule, ...]
) -> dict[Role, frozenset[str]]:
    """Who may decide on something by any rule is a reviewer without being named under ``roles``."""
    deciding = {r.group for rule in rules for r in rule.requirements} | {
        step.group for rule in rules for step in rule.escalations
    }
    for requirement in defaults.requirements:
        deciding |= {requirement.group, *requirement.alternates}
    found = {role: frozenset(groups) for role, groups in roles.items()}
    found[Role.REVIEWER] = found.get(Role.REVIEWER, frozenset()) | deciding
    return found


def read_defaults(reader: Reader, node: Node | None, names: Names, admins: tuple[str, ...]) -> Defaults:
    """``defaults``. Without ``reviewers``, any one person of the admins' groups may decide."""
    known = ("verdict", "uninspectable", "timeout", "on_timeout", "reviewers", "risk")
    fields = reader.fields(node, "defaults", known) or {}
    if "verdict" not in fields:
        reader.warn(node or 1, "defaults.verdict is missing: every request is blocked")
    standard = Defaults()
    if "reviewers" in fields:
        requirements = read_reviewers(reader, fields["reviewers"], names)
    else:
        requirements = (Requirement(admins[0], 1, admins[1:]),) if admins else ()
    word = reader.word
    found = Defaults(
        word(fields.get("verdict"), "defaults.verdict", Verdict, without=(Verdict.MODIFY,)) or standard.verdict,
        word(fields.get("uninspectable"), "defaults.uninspectable", Verdict, without=(Verdict.MODIFY,))
        or standard.uninspectable,
        reader.duration(fields.get("timeout"), "defaults.timeout") or standard.timeout_ms,
        _on_timeout(reader, fields.get("on_timeout")) or standard.on_timeout,
        word(fields.get("risk"), "defaults.risk", Risk) or standard.risk,
        requirements,
    )
    if not requirements and found.verdict is Verdict.REVIEW:
        reader.problem(fields["verdict"], "defaults.verdict review: nobody may decide: name reviewers or roles.admins")
    if not requirements and found.uninspectable is Verdict.REVIEW:
        reader.warn(
            fields.get("uninspectable", node or 1),
            "defaults.uninspectable review: nobody may decide, so such requests are blocked: name reviewers or roles.admins",
        )
    return found


def _on_timeout(reader: Reader, node: Node | None) -> OnTimeout | None:
    found = reader.word(node, "defaults.on_timeout", OnTimeout)
    if node is not None and found is OnTimeout.ALLOW:
        reader.problem(node, "defaults.on_timeout cannot be allow: only a rule itself may say so")
    return found


def read_sets(
    reader: Reader, node: Node | None, section: str, names: Names, make: Callable[[str], TextPattern]
) -> dict[str, tuple[TextPattern, ...]]:
    """``patterns`` or ``keywords``: name → list."""
    return {
        name: read_patterns(reader, names, value, f"{section}.{name}", make)
        for name, _, value in reader.entries(node, section) or ()
    }


def read_masks(reader: Reader, node: Node | None, names: Names) -> tuple[Mask, ...]:
    """``masks``: ``[{name: card number, patterns: [cards]}]``."""
    found: dict[str, Mask] = {}
    known = ("name", "matches", "keywords", "patterns", "keyword_sets")
    for item in reader.items(node, "masks") or ():
        fields = reader.fields(item, "a mask", known, required=("name",))
        if fields is None:
            continue
        name = reader.text(fields.get("name"), "a mask's name", longest=60) or ""
        if name in found:
            reader.problem(item, f"there are two masks named {name!r}")
        if not name.isprintable() or "⟦" in name or "⟧" in name:
            reader.problem(item, "a mask's name is printable and has no ⟦ or ⟧")
        what = f"mask {name!r}"
        patterns = (
            *read_patterns(reader, names, fields.get("matches"), f"{what}: matches", pattern),
            *read_patterns(reader, names, fields.get("keywords"), f"{what}: keywords", keyword),
            *read_named_sets(reader, fields.get("patterns"), f"{what}: patterns", "patterns", names.patterns),
            *read_named_sets(reader, fields.get("keyword_sets"), f"{what}: keyword_sets", "keywords", names.keywords),
        )
        if not patterns and fields.keys() <= {"name"}:
            reader.problem(item, f"{what} says nothing about what to mask: name one of {', '.join(known[1:])}")
        found[name] = Mask(name, patterns)
    return tuple(found.values())


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


def read_second_admin(reader: Reader, node: Node | None, admins: Collection[str]) -> bool:
    """``changes: {second_admin: true}``."""
    fields = reader.fields(node, "changes", ("second_admin",))
    if fields is None:
        return False
    wanted = bool(reader.flag(fields.get("second_admin"), "changes.second_admin"))
    if wanted and not admins:
        reader.problem(fields["second_admin"], "changes.second_admin needs roles.admins: nobody could confirm a change")
    return wanted


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
