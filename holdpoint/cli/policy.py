"""`holdpoint policy …`: check and test a file, push it live, look at versions, go back to one.

A push is compare-and-set: it names the version that it replaces (``--expect``; the one in force when the command looked,
without it), and changes nothing when somebody else was faster, when the document does not validate, or when its own
tests fail.
"""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

import click

from holdpoint.cli.common import (
    Refused,
    json_option,
    moment,
    print_json,
    print_table,
    print_text,
    with_store,
)
from holdpoint.cli.pushing import push_or_propose, read_policy
from holdpoint.errors import ConfigurationError, PolicyError, Problem
from holdpoint.policy import Policy, check_policy, parse_policy
from holdpoint.standing import Change
from holdpoint.store import Store, StoredPolicy
from holdpoint.visible import visible

_MOST_DIGITS = 9  # of a version; what is longer is a file


def _text(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise click.BadParameter("must be UTF-8 text") from None
    return value


@click.group()
def policy() -> None:
    """The policy document: versioned, live within a second of a push."""


@policy.command()
@click.argument("file")
@json_option
def check(*, file: str, as_json: bool) -> None:
    """Validate FILE (- for standard input) and run its own tests."""
    _, warnings = _checked(read_policy(file), file, as_json=as_json)
    if as_json:
        print_json({"valid": True, "problems": [_as_json(problem) for problem in warnings]})
    else:
        click.echo(f"{file}: the policy is valid")


@policy.command()
@click.argument("file")
@json_option
def test(*, file: str, as_json: bool) -> None:
    """Run the tests that FILE has in it."""
    text = read_policy(file)
    _checked(text, file, as_json=as_json)
    names = [case.name for case in parse_policy(text, file).tests]
    if as_json:
        print_json({"passed": names})
        return
    for name in names:
        print_text(f"ok  {name}")
    click.echo(f"{len(names)} passed" if names else f"{file}: the policy has no tests")


@policy.command()
@click.argument("file")
@click.option("--expect", type=click.IntRange(min=0), help="The version that this one replaces; 0: there is none yet.")
@click.option("--note", default="", callback=_text, help="Why, for the history.")
@json_option
def push(*, file: str, expect: int | None, note: str, as_json: bool) -> None:
    """Put FILE in force everywhere."""
    text = read_policy(file)
    _checked(text, file, as_json=as_json)
    _report(with_store(lambda store: push_or_propose(store, text, expect=expect, note=note)), as_json=as_json)


@policy.command()
@click.option("--version", "version", type=click.IntRange(min=1), help="An older version.")
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file.")
@json_option
def pull(*, version: int | None, output: Path | None, as_json: bool) -> None:
    """Print the policy in force, or an older version, as it was pushed."""
    stored = with_store(lambda store: _stored(store, version))
    if output is not None:
        try:
            output.write_text(stored.text, encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"{output}: {error.strerror}") from error
    elif as_json:
        print_json(stored)
    elif sys.stdout.isatty():
        print_text(stored.text)
    else:
        click.echo(stored.text, nl=False)


@policy.command()
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1))
@json_option
def history(*, limit: int, as_json: bool) -> None:
    """The versions, newest first."""
    versions = with_store(lambda store: store.config.policy_history(limit))
    if as_json:
        fields = [{"version": v.version, "at_ms": v.at_ms, "by": v.by, "note": v.note} for v in versions]
        print_json({"versions": fields})
        return
    print_table(["VERSION", "AT", "BY", "NOTE"], [[str(v.version), moment(v.at_ms), v.by, v.note] for v in versions])


@policy.command()
@click.argument("version", type=click.IntRange(min=1))
@click.option("--expect", type=click.IntRange(min=1), help="The version that is in force now.")
@click.option("--note", default="", callback=_text, help="Why, for the history.")
@json_option
def rollback(*, version: int, expect: int | None, note: str, as_json: bool) -> None:
    """Put an older VERSION in force again, as a new version."""
    stored = with_store(lambda store: _stored(store, version))
    # It was valid once; a newer Holdpoint may see more.
    _checked(stored.text, f"version {version}", as_json=as_json)
    note = note or f"back to version {version}"
    _report(with_store(lambda store: push_or_propose(store, stored.text, expect=expect, note=note)), as_json=as_json)


@policy.command()
@click.argument("old", required=False)
@click.argument("new", required=False)
@json_option
def diff(*, old: str | None, new: str | None, as_json: bool) -> int:
    """What changes from OLD to NEW: each a version or a file.

    One argument is compared with the policy in force; none shows the last push. Exit code 1 when they differ.
    """

    async def work(store: Store) -> tuple[tuple[str, str], tuple[str, str]]:
        if old is None:
            version = (await _stored(store, None)).version
            return await _side(store, str(version - 1)), await _side(store, str(version))
        if new is None:
            return await _side(store, str(await store.config.policy_number())), await _side(store, old)
        return await _side(store, old), await _side(store, new)

    (before_name, before), (after_name, after) = with_store(work)
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), before_name, after_name, lineterm=""))
    if as_json:
        print_json({"old": before_name, "new": after_name, "differ": bool(lines), "diff": lines})
    elif lines:
        print_text("\n".join(lines))
    return 1 if lines else 0


def _checked(text: str, file: str, *, as_json: bool) -> tuple[Policy, list[Problem]]:
    """Validate; print what is wrong, one ``file:line: …`` each, and end with exit code 1."""
    try:
        checked, warnings = check_policy(text, file)
    except PolicyError as error:
        if as_json:
            print_json({"valid": False, "problems": [_as_json(problem) for problem in error.problems]})
        click.echo(visible(str(error)), err=True)
        raise Refused(f"{file}: not valid, and nothing was changed") from None
    for problem in warnings:
        click.echo(visible(problem.render(file)), err=True)
    return checked, warnings


def _as_json(problem: Problem) -> dict[str, object]:
    return {
        "line": problem.line,
        "rule": problem.rule,
        "message": problem.message,
        "warning": problem.warning,
    }


def _report(done: int | Change, *, as_json: bool) -> None:
    if isinstance(done, Change):
        said = f"change {done.id} waits for a second admin: changes confirm {done.id} (in chat, or with holdpoint run)"
        print_json({"change": done.id, "expect": done.expect}) if as_json else click.echo(said)
    elif as_json:
        print_json({"version": done})
    else:
        click.echo(f"version {done} is in force")


async def _stored(store: Store, version: int | None) -> StoredPolicy:
    if version is not None:
        return await store.config.policy_version(version)
    head = await store.config.policy()
    if head is None:
        raise Refused("there is no policy yet: every request is refused")
    return head


async def _side(store: Store, name: str) -> tuple[str, str]:
    """(name, text) of one side of a diff; version 0 is the empty policy before the first push."""
    if not (name.isascii() and name.isdigit() and len(name) <= _MOST_DIGITS):
        return name, read_policy(name)
    text = (await store.config.policy_version(int(name))).text if int(name) else ""
    return f"version {name}", text
