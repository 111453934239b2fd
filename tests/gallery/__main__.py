"""Draw the gallery: ``python -m tests.gallery FOLDER``. Needs node, npm, Chromium and a font with emoji.

The npm packages go below ``build/``.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.gallery.pictures import pictures

HERE = Path(__file__).parent
TOOLS = HERE.parents[1] / "build" / "gallery"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-proxy-server"]


def main(folder: Path) -> None:
    """Write one PNG for each picture into ``folder``, and take away those that are no picture any more."""
    wanted = list(pictures())
    page = _page(json.dumps({"pictures": [asdict(picture) for picture in wanted]}))
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        sheet = browser.new_page(viewport={"width": 640, "height": 900}, timezone_id="UTC", locale="en-GB")
        sheet.goto(page.as_uri(), wait_until="networkidle")
        sheet.evaluate("document.fonts.ready")
        for picture in wanted:
            shot = sheet.locator(f"#{picture.name}").screenshot(animations="disabled")
            _small(shot).save(folder / f"{picture.name}.png", optimize=True)
        browser.close()
    _write_page(folder, [(picture.name, picture.says) for picture in wanted])


def _small(png: bytes) -> Image.Image:
    """The same picture with a palette: a third of the bytes, and nobody sees it."""
    return Image.open(io.BytesIO(png)).convert("RGB").quantize(48, dither=Image.Dither.NONE)


def _page(data: str) -> Path:
    """The HTML file of all pictures."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "render.mjs"):
        shutil.copy(HERE / name, TOOLS / name)
    if not (TOOLS / "node_modules").is_dir():
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"], cwd=TOOLS, check=True)
    (TOOLS / "pictures.json").write_text(data)
    subprocess.run(["node", "render.mjs"], cwd=TOOLS, check=True, env={**os.environ, "TZ": "UTC"})
    return TOOLS / "page.html"


def _write_page(folder: Path, said: list[tuple[str, str]]) -> None:
    """The list of pictures in README.md, below the line that says so."""
    readme = folder / "README.md"
    head = readme.read_text().partition("## Pictures\n")[0] if readme.exists() else "# Gallery\n\n"
    shown = "\n\n".join(f"### {name}\n\n{says}\n\n![{says}]({name}.png)" for name, says in said)
    readme.write_text(f"{head}## Pictures\n\n{shown}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
