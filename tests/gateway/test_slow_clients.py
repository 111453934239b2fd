"""A hundred clients that do not read, on streams that do not end: the gateway's memory stays where it is."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path

import psutil
import pytest

from holdpoint.clock import now_ms
from holdpoint.store import Store
from tests.gateway.raw import post
from tests.support.certificates import Authority, trusting
from tests.support.programs import POLICY, Program, make_key
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

CLIENTS = 100
RECORDED = 32 * 1024  # bytes of each answer that are kept for its record
# Bytes for each client besides: what waits in either direction (one read of the event loop brings 256 KB), under TLS a
# second time, encrypted; and what the allocator keeps of the bursts before the stream stood still.
MOST = 1536 * 1024
