from services.sfu.core.forwarding.speech_level import STALE_S, SpeechLevel


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


def sized(sizes: list[int], now: float = 1.0) -> SpeechLevel:
    heard = SpeechLevel()
    for size in sizes:
        heard.add_size(size, now)
    return heard


def test_without_levels_the_sizes_of_packets_tell_speech_from_silence() -> None:
    assert sized([20] * 50 + [80] * 50).is_speaking(1.0)
    assert not sized([80] * 50 + [20] * 50).is_speaking(1.0)
    assert not sized([80] * 50 + [1]).is_speaking(1.0)


def test_a_packet_without_a_level_among_others_with_it_means_nothing() -> None:
    heard = spoken(90)
    heard.add_size(500, 1.01)
    assert not heard.is_unknown
    assert not heard.is_speaking(1.01)
