"""The background closer: nothing waits for it, and it gives up in the end."""

from collections.abc import AsyncIterator

import pytest

from services.signaling import media_closer
from services.signaling.core.errors import MediaUnavailable
from services.signaling.core.model import CallId, DeviceId, UserId, Worker
from services.signaling.media_closer import CLOSE_ATTEMPTS, CLOSE_QUEUE_SIZE, BackgroundCloser
from tests.support.waiting import eventually
from tests.unit.signaling.fakes import WORKER, FakeMedia

CALL = CallId("call")


class CountingMedia(FakeMedia):
    """Fails the first attempts."""

    attempts = 0
    failures = 0

    async def end_call(self, worker: Worker, call_id: CallId) -> None:
        self.attempts += 1
        if self.attempts <= self.failures:
            raise MediaUnavailable
        await super().end_call(worker, call_id)


@pytest.fixture
def media(monkeypatch: pytest.MonkeyPatch) -> CountingMedia:
    monkeypatch.setattr(media_closer, "CLOSE_BACKOFF_S", 0)
    return CountingMedia()


@pytest.fixture
async def closer(media: CountingMedia) -> AsyncIterator[BackgroundCloser]:
    made = BackgroundCloser(media)
    await made.start()
    yield made
    await made.stop()


async def wait_until_ended(media: CountingMedia, calls: list[CallId]) -> None:
    async def has_ended() -> bool:
        return [call_id for _, call_id in media.ended] == calls

    await eventually(has_ended)


async def test_the_worker_is_told_even_when_it_fails_at_first(media: CountingMedia, closer: BackgroundCloser) -> None:
    media.failures = CLOSE_ATTEMPTS - 1
    closer.close(WORKER, CALL)
    await wait_until_ended(media, [CALL])


async def test_a_dead_worker_is_given_up_and_the_next_call_closed(
    media: CountingMedia, closer: BackgroundCloser
) -> None:
    async def has_given_up() -> bool:
        return media.attempts == CLOSE_ATTEMPTS

    media.failures = CLOSE_ATTEMPTS
    closer.close(WORKER, CALL)
    await eventually(has_given_up)
    closer.close(WORKER, CallId("next"))
    await wait_until_ended(media, [CallId("next")])


async def test_a_full_queue_drops_instead_of_growing_or_waiting(media: CountingMedia) -> None:
    idle = BackgroundCloser(media)
    for _ in range(CLOSE_QUEUE_SIZE + 10):
        idle.close(WORKER, CALL)
    await idle.start()
    await wait_until_ended(media, [CALL] * CLOSE_QUEUE_SIZE)
    await idle.stop()


async def test_a_device_may_be_let_go_of_after_a_while_and_nobody_waits_for_it(
    media: CountingMedia, closer: BackgroundCloser
) -> None:
    phone, tablet = DeviceId("phone"), DeviceId("tablet")
    closer.remove(WORKER, CALL, UserId("ann"), phone, 0.05)
    closer.remove(WORKER, CALL, UserId("ann"), tablet)

    async def has_removed() -> bool:
        return len(media.removed) == 2

    await eventually(has_removed)
    assert [device_id for _, _, device_id in media.removed] == [tablet, phone]
