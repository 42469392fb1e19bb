from services.sfu.core.speakers import STALE_S, SpeechLevel, rank


def spoken(level: int, packets: int = 50, now: float = 1.0) -> SpeechLevel:
    heard = SpeechLevel()
    for _ in range(packets):
        heard.add(level | 0x80, now)
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
