"""`python -m holdpoint.cli`: the same program, for whoever has no script on PATH (`up` starts its children so)."""

from __future__ import annotations

from holdpoint.cli import main

main()
