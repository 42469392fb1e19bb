import itertools

from services.sfu.core.forwarding.key_frame_backoff import MAX_REQUEST_INTERVAL_S, KeyFrameBackoff


def test_event_that_keeps_coming_counts_ever_less_often_until_it_pauses() -> None:
    backing = KeyFrameBackoff()
    times = [step / 10 for step in range(300) if backing.allows(step / 10)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps == sorted(gaps)
    assert gaps[-1] >= MAX_REQUEST_INTERVAL_S
    assert backing.allows(60.0)
    assert backing.allows(60.4)
