"""nginx as a plain reverse proxy with one worker: what can be had at best."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_PLACES = "/usr/sbin:/usr/local/sbin:/sbin"


def find() -> str | None:
    """The program, when it is installed."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}{os.pathsep}{_PLACES}")


def command(program: str, folder: Path, *, port: int, upstream: str) -> list[str]:
    """How to run it in the foreground on ``port``, with everything that it writes in ``folder``."""
    folder.mkdir()
    temporary = "\n".join(
        f"  {kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(f"""
{"user root;" if os.geteuid() == 0 else ""}
worker_processes 1;
daemon off;
pid {folder}/pid;
error_log stderr crit;
events {{ worker_connections 8192; }}
http {{
  access_log off;
{temporary}
  client_body_buffer_size 64k;
  keepalive_requests 100000000;
  upstream model {{ server {upstream.removeprefix("http://")}; keepalive 512; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://model;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
}}
""")
    return [program, "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
