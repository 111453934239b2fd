"""The real `holdpoint` program, run to its end or started in the background."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


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
        ended = subprocess.run(
            command(*arguments), cwd=self.folder, env=environment(self.settings | (settings or {})),
            input=stdin, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def start(self, *arguments: str | Path, settings: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Started and left running; the caller ends it."""
        return subprocess.Popen(
            command(*arguments), cwd=self.folder, env=environment(self.settings | (settings or {})),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
