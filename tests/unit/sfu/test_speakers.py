from services.sfu.core.forwarding.speech_level import STALE_S, SpeechLevel
from services.sfu.core.selection.speakers import compare, rank


def spoken(level: int, packets: int = 50, now: float = 1.0) -> SpeechLevel:
    heard = SpeechLevel()
    for _ in range(packets):
        heard.add_level(level | 0x80, now)
    return heard


def test_speech_is_told_from_silence_and_ends_with_the_packets() -> None:
    assert spoken(20).is_speaking(1.0)
    assert not spoken(90).is_speaking(1.0)
    assert not spoken(20).is_speaking(1.0 + STALE_S)


def test_a_cough_is_no_speech() -> None:
    assert not spoken(10, packets=2).is_speaking(1.0)


def test_the_loudest_come_first_and_silence_keeps_the_order() -> None:
    assert rank([("a", 0.0), ("b", 90.0), ("c", 100.0)], []) == ["c", "b", "a"]
    assert rank([("a", 0.0), ("b", 0.0)], ["b", "a"]) == ["b", "a"]


def test_who_was_heard_is_not_put_out_by_a_little() -> None:
    assert rank([("a", 90.0), ("b", 92.0)], ["a", "b"]) == ["a", "b"]
    assert rank([("a", 90.0), ("b", 99.0)], ["a", "b"]) == ["b", "a"]


def sized(sizes: list[int], now: float = 1.0) -> SpeechLevel:
    heard = SpeechLevel()
    for size in sizes:
        heard.add_size(size, now)
    return heard


def test_without_levels_the_sizes_of_packets_tell_speech_from_silence() -> None:
    assert sized([20] * 50 + [80] * 50).is_speaking(1.0)
    assert not sized([80] * 50 + [20] * 50).is_speaking(1.0)
    assert not sized([80] * 50 + [1]).is_speaking(1.0)


def test_without_levels_and_sizes_they_take_turns_and_are_before_who_is_silent() -> None:
    unknown = [sized([80] * 50, now) for now in (1.0, 1.0, 1.0)]
    first = {max(range(3), key=compare([sized([80] * 50, at) for _ in range(3)], at).__getitem__) for at in (1, 11, 21)}
    assert first == {0, 1, 2}
    assert max(compare([*unknown, spoken(90)], 1.0)[:3]) > compare([spoken(90)], 1.0)[0]
    assert max(compare([*unknown, spoken(20)], 1.0)[:3]) < compare([spoken(20)], 1.0)[0]
    assert not any(level.is_speaking(1.0) for level in unknown)


def test_a_packet_without_a_level_among_others_with_it_means_nothing() -> None:
    heard = spoken(90)
    heard.add_size(500, 1.01)
    assert not heard.is_unknown
    assert not heard.is_speaking(1.01)
