"""The operator's own endpoints: `/metrics`, `/healthz` (the loop turns), `/readyz` (and it serves, or stands by)."""

from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import generate_latest

from tuning_operator.cluster.meters import Meters

Answer = Callable[[web.Request], Awaitable[web.Response]]


async def serve(port: int, *, meters: Meters, refresh: Callable[[], None], ready: Callable[[], str]) -> web.AppRunner:
    """`ready` says what is missing; nothing is ready. Close with `cleanup()`. Port 0 takes any free one."""

    async def metrics(request: web.Request) -> web.Response:
        refresh()
        return web.Response(body=generate_latest(meters.registry), content_type="text/plain", charset="utf-8")

    async def healthz(request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(request: web.Request) -> web.Response:
        missing = ready()
        return web.Response(text=f"{missing or 'ok'}\n", status=503 if missing else 200)

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    await web.TCPSite(runner, None, port, reuse_address=True).start()
    return runner
