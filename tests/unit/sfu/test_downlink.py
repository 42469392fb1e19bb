from services.sfu.core.congestion.downlink import DownlinkPath


def test_loss_by_chance_of_a_few_packets_does_not_lower_the_estimate() -> None:
    """5 % of 30 packets are more than 10 % every now and then: that is no congestion."""
    path = DownlinkPath(has_transport_cc=True)
    before = path.estimate_bps(0.0)
    for second, lost in enumerate([1, 0, 4, 2, 1, 5, 0, 2, 3, 0]):
        path.handle_loss(30, lost, float(second))
    assert path.estimate_bps(10.0) == before
    for second in range(10, 14):
        path.handle_loss(30, 9, float(second))
    assert path.estimate_bps(14.0) < 0.8 * before
