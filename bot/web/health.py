"""``/healthz``: the process answers. ``/readyz``: its parts can work. ``/metrics``: for Prometheus."""

from __future__ import annotations

from aiohttp import web

from bot.web.site import site_of
from holdpoint.errors import StoreUnavailable
from holdpoint.metrics import CONTENT_TYPE


def routes() -> list[web.RouteDef]:
    return [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)]


async def healthz(_request: web.Request) -> web.Response:
    """200 while the event loop turns."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """200 when Redis, the recorder and every channel work; 503 with what does not."""
    site = site_of(request)
    problems = {name: problem for name, check in site.checks.items() if (problem := await check())}
    try:
        await site.store.ping()
    except StoreUnavailable as error:
        problems["redis"] = str(error)
    status = "not ready" if problems else "ok"
    return web.json_response({"status": status, "problems": problems}, status=503 if problems else 200)


async def metrics(request: web.Request) -> web.Response:
    """Everything that this process counts, how many holds there are in each state, and who lags behind."""
    site = site_of(request)
    site.metrics.policy_version = site.live.snapshot.policy.version
    try:
        counts = await site.store.holds.count()
        site.metrics.holds = {state.value: number for state, number in counts.items()}
        site.metrics.outbox_lag = dict(await site.store.outbox.lags())
    except StoreUnavailable:
        site.metrics.holds, site.metrics.outbox_lag = {}, {}  # unknown is not zero
    return web.Response(body=site.metrics.render(), headers={"Content-Type": CONTENT_TYPE})
