"""Queues before a receiver, told from the delay of single packets."""

from services.sfu.core.congestion.queue_delay import BASE_LIFE_S, QUEUE_DELAY_S, QueueDelayDetector

PATH_S = 0.02


def feed(
    queue: QueueDelayDetector,
    sent_at: float,
    queued_s: float,
    *,
    rate_bps: float = 0.0,
    packets: int = 1,
    follows: bool = True,
) -> None:
    """A feedback of packets of 1,000 bytes that were sent together and left the queue at a rate."""
    first = sent_at + PATH_S + queued_s
    last = first + ((packets - 1) * 8000 / rate_bps if rate_bps else 0.0)
    queue.add_feedback((sent_at, first, 1000), (sent_at, last), 1000 * packets, follows)


def calm() -> QueueDelayDetector:
    queue = QueueDelayDetector()
    for step in range(20):
        feed(queue, step * 0.1, 0.0)
    assert not queue.has_queue
    return queue


def test_one_feedback_tells_that_a_queue_stands_and_at_what_rate_it_empties() -> None:
    queue = calm()
    feed(queue, 2.0, 0.2, rate_bps=300_000, packets=3)
    assert queue.has_queue
    assert queue.rate_bps is not None
    assert abs(queue.rate_bps - 300_000) < 1000


def test_rate_of_a_queue_comes_from_packet_to_packet_over_several_feedbacks() -> None:
    queue = calm()
    feed(queue, 2.0, 0.200)
    assert queue.has_queue
    assert queue.rate_bps is None
    feed(queue, 2.01, 0.230)
    assert queue.rate_bps is not None
    assert abs(queue.rate_bps - 200_000) < 1000


def test_packets_of_a_feedback_that_was_lost_do_not_make_the_rate_seem_lower() -> None:
    queue = calm()
    feed(queue, 2.0, 0.2, rate_bps=300_000, packets=3)
    feed(queue, 2.5, 0.2, rate_bps=300_000, packets=3, follows=False)
    assert queue.rate_bps is not None
    assert abs(queue.rate_bps - 300_000) < 1000


def test_rate_is_that_of_the_queues_beginning_and_forgotten_when_it_is_gone() -> None:
    queue = calm()
    feed(queue, 2.0, 0.2, rate_bps=300_000, packets=20)
    known = queue.rate_bps
    feed(queue, 3.0, 0.2, rate_bps=50_000, packets=3)
    assert queue.rate_bps == known
    feed(queue, 4.0, 0.0)
    assert not queue.has_queue
    assert queue.rate_bps is None


def test_jitter_is_no_queue() -> None:
    queue = calm()
    for step in range(40):
        feed(queue, 2.0 + step * 0.1, (step % 3) * QUEUE_DELAY_S / 3)
        assert not queue.has_queue


def test_a_path_that_became_longer_counts_as_a_queue_for_some_seconds_only() -> None:
    queue = calm()
    steps = range(int(2.5 * BASE_LIFE_S * 10))
    states = []
    for step in steps:
        feed(queue, 2.0 + step * 0.1, 0.3)
        states.append(queue.has_queue)
    assert states[0]
    assert not states[-1]


def test_another_clock_is_no_queue() -> None:
    queue = calm()
    feed(queue, 2.0, 1000.0)
    assert not queue.has_queue
    feed(queue, 2.1, -1000.0)
    assert not queue.has_queue
