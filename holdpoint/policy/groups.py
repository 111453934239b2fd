"""``groups`` (who is in them, and when they work) and ``teams`` (who else counts there). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from yaml.nodes import Node

from holdpoint.policy.claims import read_wanted
from holdpoint.policy.hours import Hours, read_hours
from holdpoint.policy.reading import Reader

LONGEST_GROUP = 200
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TEAM = re.compile(r"19:[A-Za-z0-9_-]{1,150}@thread\.(tacv2|skype)")


@dataclass(frozen=True, slots=True)
class Group:
    """Who is in a group by the policy's own word. ``members`` are lower-case principals.

    ``slack_usergroup``, ``teams_team`` (the id of its General channel) and ``entra_group`` (an object id) name a list of
    people that a platform keeps, whose members belong to the group for as long as they are on it. ``hours`` are when they
    work; None: always.
    """

    name: str
    members: frozenset[str] = frozenset()
    slack_usergroup: str | None = None
    claims: Mapping[str, tuple[str, ...]] | None = None
    teams_team: str | None = None
    entra_group: str | None = None
    hours: Hours | None = None


@dataclass(frozen=True, slots=True)
class TeamsTerms:
    """Who else counts in Microsoft Teams: guests of the tenant, and people of these other tenants (lower-case ids)."""

    guests: bool = False
    tenants: frozenset[str] = frozenset()


USUAL_TEAMS = TeamsTerms()


def is_group_name(text: str) -> bool:
    """Whether a policy can name a group so; ``*`` is everybody else."""
    return text != "*" and bool(text.strip()) and text.isprintable() and len(text) <= LONGEST_GROUP


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
