from services.sfu.core.congestion.probing import Prober
from services.sfu.core.congestion.send_history import Sent


def test_small_probe_has_enough_packets_to_tell_that_a_poor_path_has_become_better() -> None:
    prober = Prober()
    sent_bytes, now = 0, 1.0
    sent: list[Sent] = []
    while now < 2.0:
        for _ in range(-(-prober.poll(140_000, 140_000, 122_000, sent_bytes, now) // 1000)):
            sent_bytes += 1000
            sent.append((now, now + 0.02, 1000))
        now += 0.02
    prober.add_results(sent)
    rate_bps = prober.take_result(0.1, -1.0, now + 1.0)
    assert rate_bps is not None
    assert rate_bps > 122_000
