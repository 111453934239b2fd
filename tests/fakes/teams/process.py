"""The fake as a process of its own: an event loop that stands still in the bot cannot stop it, nor the other way round."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


class TeamsProcess:
    """Starts it and knows its URL; ends with us, as its standard input does."""

    def __init__(self) -> None:
        root = Path(__file__).resolve().parents[3]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.teams"],
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        assert self.url, "the fake of Teams did not start"

    def close(self) -> None:
        self._process.communicate(timeout=60)
