"""The commands. One file per group, loaded when it is used; this file is the table of them and the exit codes.

Exit codes: 0 well, 1 the answer is no (`Refused`, and what the store or the ledger refuses), 2 usage or configuration;
130 and 141, as shells say it, for Ctrl-C and for output that nobody reads any more. Errors are one line on stderr.
This package is the composition root: the only part of `holdpoint` that may import `gateway` and `bot`, to start them.
"""

from __future__ import annotations

import errno
import importlib
import importlib.metadata
import os
import signal
import sys
from collections.abc import Sequence

import click

from holdpoint.errors import ConfigurationError, HoldpointError, PolicyError, StoreUnavailable
from holdpoint.visible import visible

_COMMANDS = {
    "demo": "holdpoint.cli.demo:demo",
    "up": "holdpoint.cli.up:up",
    "gateway": "holdpoint.cli.up:gateway",
    "bot": "holdpoint.cli.up:bot",
    "policy": "holdpoint.cli.policy:policy",
    "keys": "holdpoint.cli.keys:keys",
    "holds": "holdpoint.cli.holds:holds",
    "login": "holdpoint.cli.login:login",
    "audit": "holdpoint.cli.audit:audit",
    "doctor": "holdpoint.cli.doctor:doctor",
    "run": "holdpoint.cli.run:run",
    "teams": "holdpoint.cli.teams:teams",
}

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


class _Commands(click.Group):
    """Imports a command's file when it is asked for, so that `holdpoint keys list` does not load a web server."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        place = _COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


def _version() -> str:
    try:
        return importlib.metadata.version("holdpoint")
    except importlib.metadata.PackageNotFoundError:
        return "(a checkout that is not installed)"


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), prog_name="holdpoint")
def cli() -> None:
    """A hold point in front of self-hosted models: requests wait until the right people have signed."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of the `holdpoint` program. Always ends with `SystemExit`."""
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = cli.main(args=arguments, prog_name="holdpoint", standalone_mode=False)
    except click.UsageError as error:
        where = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
        return _fail(error.format_message() + where, 2)
    except click.ClickException as error:
        return _fail(error.format_message(), 2)
    except PolicyError as error:
        click.echo(visible(str(error)), err=True)  # file:line: …, as compilers say it
        return 2
    except (ConfigurationError, StoreUnavailable) as error:
        return _fail(str(error), 2)
    except HoldpointError as error:
        return _fail(str(error), 1)
    except (click.Abort, KeyboardInterrupt):
        return 130
    except SystemExit:
        # click ends so, with 1, when who read the output has left, as `head` does. That is neither a yes nor a no.
        _drop_output()
        return 128 + signal.SIGPIPE
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _drop_output()
        return _fail(f"{error.filename or 'the output'} cannot be written: {error.strerror}", 2)
    return code if isinstance(code, int) else 0


def _drop_output() -> None:
    """Keep the interpreter from trying again at its end to write what it could not."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, code: int) -> int:
    click.echo(f"holdpoint: {visible(message)}", err=True)
    return code
