"""Gateways that people would otherwise pick, in environments of their own outside the tree: ``make bench-peers``.

They do other work than ours (no holds, no record that is waited for), on the same upstream with the same load.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.upstream import SLOW

LITELLM = "LiteLLM proxy"
PORTKEY = "Portkey gateway"
KEY = "sk-bench-only-0123456789abcdef"  # LiteLLM does not start without one; the load sends it


def cache() -> Path:
    """Where they are installed; the Makefile says the same."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "holdpoint-bench"


@dataclass(frozen=True, slots=True)
class Peer:
    """``command`` (folder, port, upstream) is None where it is not installed."""

    name: str
    command: Callable[[Path, int, str], list[str] | None]
    headers: Callable[[str], tuple[tuple[str, str], ...]] = lambda _upstream: ()
    environment: Mapping[str, str] = field(default_factory=dict)


def _litellm(folder: Path, port: int, upstream: str) -> list[str] | None:
    program = cache() / "litellm" / "bin" / "litellm"
    if not program.exists():
        return None
    parameters = {"api_base": f"{upstream}/v1", "api_key": "sk-none"}
    models = [
        {"model_name": name, "litellm_params": {"model": f"openai/{name}", **parameters}} for name in ("bench", SLOW)
    ]
    config = folder / "litellm.json"  # JSON is YAML
    config.write_text(json.dumps({"model_list": models, "general_settings": {"master_key": KEY}}))
    return [str(program), "--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]


def _portkey(_folder: Path, port: int, _upstream: str) -> list[str] | None:
    script = cache() / "portkey" / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    node = shutil.which("node")
    return [node, str(script), f"--port={port}", "--headless"] if node is not None and script.exists() else None


def _to_upstream(upstream: str) -> tuple[tuple[str, str], ...]:
    return (("x-portkey-provider", "openai"), ("x-portkey-custom-host", f"{upstream}/v1"))


ALL = (
    Peer(LITELLM, _litellm, environment={"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}),
    Peer(PORTKEY, _portkey, headers=_to_upstream, environment={"TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"}),
)
