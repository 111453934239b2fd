"""Where this machine's browser is, and how it is started: no sandbox, because CI runs as root in a container."""

from __future__ import annotations

import shutil

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-proxy-server"]
HOW = "no Chromium: apt-get install chromium (or Google Chrome)"
