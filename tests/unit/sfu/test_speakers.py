from services.sfu.core.selection.speakers import compare, rank
from tests.unit.sfu.test_speech_level import sized, spoken


def test_the_loudest_come_first_and_silence_keeps_the_order() -> None:
    assert rank([("a", 0.0), ("b", 90.0), ("c", 100.0)], []) == ["c", "b", "a"]
    assert rank([("a", 0.0), ("b", 0.0)], ["b", "a"]) == ["b", "a"]


def test_who_was_heard_is_not_put_out_by_a_little() -> None:
    assert rank([("a", 90.0), ("b", 92.0)], ["a", "b"]) == ["a", "b"]
    assert rank([("a", 90.0), ("b", 99.0)], ["a", "b"]) == ["b", "a"]


def test_without_levels_and_sizes_they_take_turns_and_are_before_who_is_silent() -> None:
    unknown = [sized([80] * 50, now) for now in (1.0, 1.0, 1.0)]
    first = {max(range(3), key=compare([sized([80] * 50, at) for _ in range(3)], at).__getitem__) for at in (1, 11, 21)}
    assert first == {0, 1, 2}
    assert max(compare([*unknown, spoken(90)], 1.0)[:3]) > compare([spoken(90)], 1.0)[0]
    assert max(compare([*unknown, spoken(20)], 1.0)[:3]) < compare([spoken(20)], 1.0)[0]
    assert not any(level.is_speaking(1.0) for level in unknown)
