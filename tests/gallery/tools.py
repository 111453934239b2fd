"""What drawing takes: npm packages, which go below ``build/``, and Chromium."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

HERE = Path(__file__).parent
TOOLS = HERE.parents[1] / "build" / "gallery"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ADAPTIVE_CARDS = TOOLS / "node_modules" / "adaptivecards" / "dist" / "adaptivecards.min.js"
MARKDOWN = TOOLS / "node_modules" / "markdown-it" / "dist" / "browser" / "markdown-it.umd.min.js"

_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-proxy-server"]


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
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        yield browser
        browser.close()


if __name__ == "__main__":
    install()
