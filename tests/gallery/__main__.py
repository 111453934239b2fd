"""Draw the gallery: ``python -m tests.gallery FOLDER``. Needs node, npm, Chromium and a font with emoji.

The npm packages go below ``build/``.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page

from tests.gallery.pictures import pictures
from tests.gallery.teams import LOOK, teams_pictures
from tests.gallery.tools import TOOLS, chromium, install

COLOURS = 48


def main(folder: Path) -> None:
    """Write one PNG for each picture into ``folder``, and take away those that are no picture any more."""
    install()
    folder.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        slack, teams = dict(_slack(browser)), dict(_teams(browser))
    for old in folder.glob("*.png"):
        old.unlink()
    for drawn, kept in ((slack, []), (teams, _colours(LOOK))):
        for name, png in drawn.items():
            _small(png, kept).save(folder / f"{name}.png", optimize=True)
    _write_page(folder)


def _slack(browser: Browser) -> Iterator[tuple[str, bytes]]:
    wanted = list(pictures())
    (TOOLS / "pictures.json").write_text(json.dumps({"pictures": [asdict(picture) for picture in wanted]}))
    subprocess.run(["node", "render.mjs"], cwd=TOOLS, check=True, env={**os.environ, "TZ": "UTC"})
    sheet = _sheet(browser, width=640, page="page.html")
    for picture in wanted:
        yield picture.name, sheet.locator(f"#{picture.name}").screenshot(animations="disabled")


def _teams(browser: Browser) -> Iterator[tuple[str, bytes]]:
    sheet = _sheet(browser, width=1200, page="teams.html")
    for picture in teams_pictures():
        events = sheet.evaluate("([picture, look]) => draw(picture, look)", [asdict(picture), LOOK])
        if events:
            raise SystemExit(f"{picture.name}: {events}")
        yield picture.name, sheet.locator(f"#{picture.name}").screenshot(animations="disabled")


def _sheet(browser: Browser, *, width: int, page: str) -> Page:
    sheet = browser.new_page(viewport={"width": width, "height": 900}, timezone_id="UTC", locale="en-GB")
    sheet.goto((TOOLS / page).as_uri(), wait_until="networkidle")
    sheet.evaluate("document.fonts.ready")
    return sheet


def _small(png: bytes, kept: Sequence[tuple[int, int, int]]) -> Image.Image:
    """The same picture with a palette: a third of the bytes, and nobody sees it.

    ``kept`` are colours that have to be there however few points have them: a red button is small, and stays red.
    """
    whole = Image.open(io.BytesIO(png)).convert("RGB")
    usual = whole.quantize(COLOURS - len(kept), dither=Image.Dither.NONE)
    if not kept:
        return usual
    palette = Image.new("P", (1, 1))
    found = usual.getpalette() or []
    palette.putpalette([*(part for colour in kept for part in colour), *found])
    return whole.quantize(palette=palette, dither=Image.Dither.NONE)


def _colours(look: object) -> list[tuple[int, int, int]]:
    """Those that a HostConfig names, each once."""
    named = dict.fromkeys(re.findall(r"#([0-9a-f]{6})\b", json.dumps(look)))
    return [(int(name[:2], 16), int(name[2:4], 16), int(name[4:], 16)) for name in named]


def _write_page(folder: Path) -> None:
    """The list of pictures in README.md, below the line that says so."""
    readme = folder / "README.md"
    head = readme.read_text().partition("## Pictures\n")[0] if readme.exists() else "# Gallery\n\n"
    slack = _listed((picture.name, picture.says) for picture in pictures())
    teams = _listed((picture.name, picture.says) for picture in teams_pictures())
    readme.write_text(f"{head}## Pictures\n\n{slack}\n\n## Pictures of Teams\n\n{teams}\n")


def _listed(said: Iterator[tuple[str, str]]) -> str:
    return "\n\n".join(f"### {name}\n\n{says}\n\n![{says}]({name}.png)" for name, says in said)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
