"""The bench's worker that may be asked what is alive in it."""

from pathlib import Path

import pytest

from loadtests.sfu_media.parts import Bench, Plan
from loadtests.sfu_media.worker import run_worker
from tests.support.waiting import eventually


async def test_a_watched_worker_holds_something_while_somebody_is_there_and_nothing_after(tmp_path: Path) -> None:
    async with run_worker(tmp_path / "sfu.log", is_instrumented=True) as worker:
        empty = await worker.vitals()
        assert empty["open_resources"] == 0
        assert min(empty[name] for name in ("objects", "blocks", "rss_mib")) > 0
        bench = Bench(worker, Plan())
        peer = await bench.join("call")
        assert (await worker.vitals())["open_resources"] > 0
        await bench.end(["call"], [peer])

        async def is_empty() -> bool:
            return not (await worker.vitals())["open_resources"]

        await eventually(is_empty)
        await bench.stop()


async def test_a_worker_that_is_not_watched_is_not_asked_in_vain(tmp_path: Path) -> None:
    async with run_worker(tmp_path / "sfu.log") as worker:
        with pytest.raises(ConnectionError):
            await worker.vitals()
