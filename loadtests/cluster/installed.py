"""That what stands on the cluster is what was applied, and works for people outside, through TLS."""

from __future__ import annotations

import ssl

import aiohttp

from deploy.cluster.kubectl import listed
from deploy.cluster.layout import EDGE_IP
from loadtests import demo
from loadtests.cluster.place import Outcome, Place
from parley_client.tracks import SourceOptions

_DIFF_SHOWN = 20
_TIMEOUT = aiohttp.ClientTimeout(total=15)


async def applied(place: Place, outcome: Outcome) -> None:
    """The server has nothing to change, and everything that was applied."""
    result = await place.kubectl.ask("diff", "-f", "-", stdin=listed(place.objects))
    outcome.figures["objects"] = len(place.objects)
    if result.status:
        lines = [*result.out.splitlines(), *result.err.splitlines()]
        outcome.errors += ["kubectl diff is not empty:", *lines[:_DIFF_SHOWN]]


async def used(place: Place, outcome: Outcome) -> None:
    """The demo, and the page."""
    report = await demo.run(place.edge, 40, 3.0, SourceOptions())
    outcome.figures["demo"] = report.as_dict()
    outcome.errors += [f"demo: {error}" for error in report.errors]
    outcome.figures["page_bytes"] = await _page(place)


async def _page(place: Place) -> int:
    trust = ssl.create_default_context(cafile=str(place.layout.edge_ca))
    async with (
        aiohttp.ClientSession(timeout=_TIMEOUT) as session,
        session.get(f"https://{EDGE_IP}/", ssl=trust) as answer,
    ):
        answer.raise_for_status()
        return len(await answer.read())
