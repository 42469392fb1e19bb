import gc
import weakref

import pytest

from services.sfu.collector import MAX_LEFT, MAX_WAIT_S, Collector


class Remains:
    def __init__(self) -> None:
        self.itself = self


@pytest.mark.parametrize(
    ("left", "waited_s", "is_collected"), [(1, 1.0, False), (1, MAX_WAIT_S, True), (MAX_LEFT, 1.0, True)]
)
def test_remains_are_collected_when_many_have_left_or_some_time_ago(
    left: int, waited_s: float, is_collected: bool
) -> None:
    collector = Collector()
    collector.note_left()
    collector.tick(1000.0)
    gc.disable()
    remains = weakref.ref(Remains())
    for _ in range(left):
        collector.note_left()
    collector.tick(1000.0 + waited_s)
    gc.enable()
    assert (remains() is None) == is_collected
