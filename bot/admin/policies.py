"""``policy …``: look at the versions, go back to one, put one rule in shadow or in force."""

from __future__ import annotations

import asyncio

from bot.admin.changes import new_change, submit
from bot.admin.office import Access, Call, Command, Office, command
from bot.admin.words import diff_of, many, moment, suggestion
from bot.answers import Answer, Table, refusal
from holdpoint.errors import Problem
from holdpoint.policy import check_policy, parse_policy
from holdpoint.policy.modes import with_mode
from holdpoint.policy.rules import RuleMode
from holdpoint.standing import ChangeKind
from holdpoint.store import StoredPolicy

MOST_VERSIONS = 50
_NONE = refusal("There is no policy yet: every request is refused.")


async def _show(office: Office, call: Call) -> Answer:
    version = call.get("version")
    if version and not _is_version(version):
        return _no_version(version)
    stored = await _version(office, int(version)) if version else await office.store.config.policy()
    if stored is None:
        return _NONE
    note = f": {stored.note}" if stored.note else ""
    line = f"Version {stored.version}, by {stored.by}, {moment(stored.at_ms)}{note}"
    return Answer(True, (line,), text=stored.text.rstrip("\n"), verbatim=True)


async def _history(office: Office, call: Call) -> Answer:  # noqa: ARG001 - a handler's signature
    versions = await office.store.config.policy_history(MOST_VERSIONS)
    if not versions:
        return _NONE
    rows = tuple((str(each.version), moment(each.at_ms), each.by, each.note) for each in versions)
    oldest = versions[-1].version
    lines = (f"The newest {MOST_VERSIONS}.",) if oldest > 1 else ()
    return Answer(True, lines, Table(("version", "at", "by", "note"), rows))


async def _diff(office: Office, call: Call) -> Answer:
    """From one version to another; to the one in force; or, without any, what the last push changed."""
    for name in ("a", "b"):
        if call.get(name) and not _is_version(call.get(name)):
            return _no_version(call.get(name))
    head = await office.store.config.policy()
    if head is None:
        return _NONE
    new = int(call.get("b") or head.version)
    old = int(call.get("a") or head.version - 1)
    before = (await _version(office, old)).text if old else ""
    after = (await _version(office, new)).text if new else ""
    text = await asyncio.to_thread(diff_of, before, after, f"version {old}", f"version {new}")
    return Answer(True, () if text else (f"Versions {old} and {new} say the same.",), text=text, verbatim=True)


async def _rollback(office: Office, call: Call) -> Answer:
    if not _is_version(call["version"]) or not int(call["version"]):
        return _no_version(call["version"])
    head = await office.store.config.policy()
    if head is None:
        return _NONE
    stored = await _version(office, int(call["version"]))
    if stored.text == head.text:
        return Answer(True, (f"Version {head.version}, which is in force, says the same as version {stored.version}.",))
    line = f"This puts version {stored.version} of {moment(stored.at_ms)} in force again."
    note = f"back to version {stored.version}"
    return await _push(office, call, head, stored.text, line=line, note=note, loosens=True)


async def _mode(office: Office, call: Call) -> Answer:
    rule, mode = call["rule"], RuleMode(call["shadow|enforce"])
    head = await office.store.config.policy()
    if head is None:
        return _NONE
    known = [each.id for each in (await asyncio.to_thread(parse_policy, head.text)).rules]
    if rule not in known:
        return refusal(f"The policy has no rule of this name in force.{suggestion(rule, known)}")
    text = await asyncio.to_thread(with_mode, head.text, rule, mode)
    if text == head.text:
        return Answer(True, (f"Rule {rule} has mode {mode.value} already.",))
    shadow = mode is RuleMode.SHADOW
    does = "is recorded where it matches, and changes nothing any more" if shadow else "counts again"
    line, note = f"Rule {rule} {does}.", f"rule {rule}: mode {mode.value}"
    return await _push(office, call, head, text, line=line, note=note, loosens=shadow)


async def _push(
    office: Office, call: Call, head: StoredPolicy, text: str, *, line: str, note: str, loosens: bool
) -> Answer:
    """Validate ``text``, show what it changes, and submit it in the place of ``head``."""
    _, warnings = await asyncio.to_thread(check_policy, text)
    text_diff = await asyncio.to_thread(diff_of, head.text, text, f"version {head.version}", "new")
    shown = Answer(True, (line, *_new_warnings(warnings)), text=text_diff, verbatim=True)
    change = new_change(office, call, ChangeKind.POLICY, expect=head.version, note=note, text=text)
    return await submit(office, call, change, shown, loosens=loosens)


def _new_warnings(warnings: list[Problem]) -> tuple[str, ...]:
    return (f"{many(len(warnings), 'warning')}: holdpoint policy check says which.",) if warnings else ()


async def _version(office: Office, number: int) -> StoredPolicy:
    return await office.store.config.policy_version(number)


def _is_version(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def _no_version(text: str) -> Answer:
    return refusal(f"{text[:40]!r} is no version: write a number, as in policy history.")


TABLE: tuple[Command, ...] = (
    command("policy show [version]", Access.OVERSEERS, "the policy in force, or an older version", _show),
    command("policy history", Access.OVERSEERS, "its versions, newest first", _history),
    command("policy diff [a] [b]", Access.OVERSEERS, "what changed between two versions, or with the last one", _diff),
    command("policy rollback <version>", Access.ADMINS, "put an older version in force again", _rollback),
    command(
        "policy mode <rule> shadow|enforce", Access.ADMINS,
        "let a rule only be recorded where it matches, or count again", _mode,
    ),
)  # fmt: skip
