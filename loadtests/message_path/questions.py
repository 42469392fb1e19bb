"""How long a hook is asked, as messaging counts it."""

from __future__ import annotations

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

_METRIC = "messaging_hook_seconds"
_TIMEOUT_S = 10.0

Asked = tuple[float, float]


async def asked(metrics_address: str) -> Asked:
    """How many questions there were, and the seconds of all of them."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S)) as session,
        session.get(f"http://{metrics_address}/metrics") as answer,
    ):
        text = await answer.text()
    samples = {
        sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples
    }
    return samples[f"{_METRIC}_count"], samples[f"{_METRIC}_sum"]


def mean_ms(before: Asked, after: Asked) -> float:
    """Of the questions between two looks; 0.0 of none."""
    count = after[0] - before[0]
    return round((after[1] - before[1]) / count * 1000, 2) if count else 0.0
