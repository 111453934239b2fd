"""The real `holdpoint` program, run to its end or started in the background."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.warm import Ended, run

__all__ = ["Cli", "Ended", "command", "environment"]

ROOT = Path(__file__).parent.parent.parent


# They do one thing and end. What is only loaded when it is needed, and how the program starts, is for the others.
_WARM = frozenset({"audit", "doctor", "holds", "keys", "policy", "run", "teams"})


def environment(settings: dict[str, str]) -> dict[str, str]:
    """This process's environment without any setting of Holdpoint, and ``settings``."""
    ours = ("HOLDPOINT_", "SLACK_", "TEAMS_", "Microsoft", "ToBot", "ToChannel")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PYTHONPATH": str(ROOT), **settings}


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-P", "-m", "holdpoint.cli", *map(str, arguments)]


class Cli:
    """Runs commands in ``folder``, so that no ``.env`` of a developer counts, with ``settings`` as their environment."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.folder = folder
        self.settings = settings

    def __call__(self, *arguments: str | Path, stdin: str = "", settings: dict[str, str] | None = None) -> Ended:
        given = [str(argument) for argument in arguments]
        env = environment(self.settings | (settings or {}))
        if given and given[0] in _WARM:
            return run(given, folder=self.folder, env=env, stdin=stdin, seconds=100)
        ended = subprocess.run(
            command(*given), cwd=self.folder, env=env, input=stdin, capture_output=True, text=True, timeout=100,
            check=False,
        )  # fmt: skip
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def start(self, *arguments: str | Path, settings: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Started and left running; the caller ends it."""
        return subprocess.Popen(
            command(*arguments), cwd=self.folder, env=environment(self.settings | (settings or {})),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
