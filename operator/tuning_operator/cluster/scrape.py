"""`Direct`: the operator scrapes the running pods' own `/metrics`.

What comes back was written by a user's container: bounded in size and time, no redirects, no compression, no
credentials. A pod that does not answer is no error: the final values come by the termination message. The last scrape
counts only for an image that leaves none.
"""

import time
from typing import Final

import aiohttp

from tuning_operator.api.sources import port_of
from tuning_operator.cluster.collect import Seen, Target
from tuning_operator.metrics.exposition import read

BODY_MAX: Final = 1 << 20
TIMEOUT: Final = aiohttp.ClientTimeout(total=4, sock_connect=2)
HEADERS: Final = {"Accept": "text/plain;version=0.0.4", "Accept-Encoding": "identity", "User-Agent": "tuning-operator"}


class Scraper:
    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def look(self, target: Target) -> Seen:
        spec = target.spec
        body = await fetch(self._session, url(target.pod.address, port_of(spec), spec.metrics.path))
        return Seen(target.live.add(read(body, target.wanted, target.budgets)), time.time())

    def grace(self, target: Target) -> float:
        return 0.0


def session(at_once: int) -> aiohttp.ClientSession:
    """For addresses that users choose."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=at_once, force_close=True),
        timeout=TIMEOUT,
        trust_env=False,
        auto_decompress=False,
        headers=HEADERS,
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def url(address: str, port: int, path: str) -> str:
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{port}{path}"


async def fetch(session: aiohttp.ClientSession, address: str) -> str:
    async with session.get(address, allow_redirects=False) as response:
        if response.status != 200:
            raise ValueError(f"{address} answered {response.status}")
        body = await bounded(response, BODY_MAX)
    return body.decode("utf-8", "replace")


async def bounded(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The whole body, if it is not longer than that."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > most:
            raise ValueError(f"{response.url.with_query(None)} sends more than {most} bytes")
    return bytes(body)
