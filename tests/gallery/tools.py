"""What drawing takes: npm packages, which go below ``build/``, and Chromium."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.support.chromium import ARGUMENTS, CHROMIUM

HERE = Path(__file__).parent
TOOLS = HERE.parents[1] / "build" / "gallery"
ADAPTIVE_CARDS = TOOLS / "node_modules" / "adaptivecards" / "dist" / "adaptivecards.min.js"
MARKDOWN = TOOLS / "node_modules" / "markdown-it" / "dist" / "browser" / "markdown-it.umd.min.js"


def install() -> None:
    """The packages of package.json, if they are not there, and the pages beside them."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    wanted, there = HERE / "package.json", TOOLS / "package.json"
    is_there = there.exists() and there.read_text() == wanted.read_text() and (TOOLS / "node_modules").is_dir()
    for name in ("package.json", "render.mjs", "teams.html", "teams.js"):
        shutil.copy(HERE / name, TOOLS / name)
    if not is_there:
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"], cwd=TOOLS, check=True)


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


if __name__ == "__main__":
    install()
