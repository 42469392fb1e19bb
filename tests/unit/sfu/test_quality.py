import pytest

from services.sfu.core.forwarding.layer_demand import HOLD_S
from services.sfu.core.session.effects import SendMedia
from services.sfu.core.session.participants import Participant
from services.sfu.core.session.quality import Quality, QualityMeter, cause_of, mos_of
from services.sfu.core.session.router import Router
from services.sfu.core.wire.rtcp import ReportBlock, build_receiver_report
from tests.unit.sfu.builders import copies, join, make_router, rtp
from tests.unit.sfu.publishing import send_layers


@pytest.mark.parametrize(
    ("loss", "delay_s", "mos"),
    [(0.0, 0.0, 4.41), (0.0, 0.1, 4.36), (0.0, 0.4, 3.05), (0.02, 0.05, 4.2), (0.05, 0.05, 3.84), (0.2, 0.05, 2.57)],
)
def test_mos_falls_with_loss_and_delay_as_the_e_model_says(loss: float, delay_s: float, mos: float) -> None:
    assert mos_of(loss, delay_s) == pytest.approx(mos, abs=0.05)


def test_mos_stays_within_its_bounds() -> None:
    assert mos_of(1.0, 10.0) == 1.0
    assert 4.4 < mos_of(0.0, 0.0) <= 4.5


@pytest.mark.parametrize(
    ("loss", "delay_s", "cause"), [(0.1, 0.05, "loss"), (0.0, 0.4, "delay"), (0.02, 0.5, "delay"), (0.3, 0.3, "loss")]
)
def test_the_cause_of_a_low_score_is_what_impairs_it_more(loss: float, delay_s: float, cause: str) -> None:
    assert cause_of(loss, delay_s) == cause


class Call:
    """Ann speaks to bob for a while; each leg loses its own share."""

    def __init__(self) -> None:
        self.router: Router = make_router()
        self.ann, self.bob = join(self.router, "ann"), join(self.router, "bob")
        self.meters = {member.number: QualityMeter(1.0) for member in (self.ann, self.bob)}

    def speak(self, uplink_loss: int, downlink_lost: int) -> None:
        """500 packets: each `uplink_loss`-th is lost on the way up (0: none), `downlink_lost` on the way down."""
        for number in range(500):
            if uplink_loss and number % uplink_loss == 1:
                continue
            now = 1.0 + number / 50
            for effect in self.router.handle_rtp(self.ann, rtp(7, number, mid=b"0", timestamp=number * 960), now):
                if isinstance(effect, SendMedia):
                    copies(effect, now)
        # A receiver misses the one as the other: the numbers that the publisher lost are holes in its own.
        missed = downlink_lost + (500 // uplink_loss if uplink_loss else 0)
        block = ReportBlock(self.bob.slots[0].ssrc, 0, missed, 500, 0, 0, 0)
        self.router.handle_rtcp(self.bob, build_receiver_report(1, [block]), 11.0)

    def quality(self, member: Participant) -> Quality:
        return self.meters[member.number].take(member, 11.0)


def test_loss_of_the_publishers_uplink_is_remote_to_its_receiver() -> None:
    call = Call()
    call.speak(uplink_loss=5, downlink_lost=0)
    mine, theirs = call.quality(call.ann), call.quality(call.bob)
    assert mine.uplink.mos < 3.0
    assert mine.is_weak
    assert theirs.downlink.mos > 4.3
    assert theirs.remote_mos == mine.uplink.mos
    assert not theirs.is_weak


def test_loss_of_the_receivers_downlink_is_its_own() -> None:
    call = Call()
    call.speak(uplink_loss=0, downlink_lost=100)
    mine, theirs = call.quality(call.ann), call.quality(call.bob)
    assert mine.uplink.mos > 4.3
    assert not mine.is_weak
    assert theirs.downlink.loss == pytest.approx(0.2)
    assert theirs.is_weak


def test_what_both_legs_lose_is_told_apart() -> None:
    call = Call()
    call.speak(uplink_loss=10, downlink_lost=45)
    mine, theirs = call.quality(call.ann), call.quality(call.bob)
    assert mine.uplink.loss == pytest.approx(0.1, abs=0.01)
    assert theirs.downlink.loss == pytest.approx(0.1, abs=0.01)


def test_who_sends_and_receives_nothing_has_no_score() -> None:
    call = Call()
    quality = call.quality(call.bob)
    assert (quality.uplink.mos, quality.downlink.mos, quality.remote_mos) == (0.0, 0.0, 0.0)
    assert not quality.is_weak


def test_a_report_says_which_layers_come_and_which_nobody_takes() -> None:
    router = make_router()
    ann, bob = join(router, "ann", simulcast=True), join(router, "bob", transport_cc=False)
    now = send_layers(router, ann, 1.0, 1.0)
    ann.publications[1].demand.update(set(), {"f"}, now)
    ann.publications[1].demand.update(set(), {"f"}, now + HOLD_S)
    theirs = QualityMeter(1.0).take(bob, now)
    slot = bob.slots[1]
    assert slot.source is not None
    (seen,) = theirs.videos
    assert (seen.publisher, seen.is_screen, seen.rid, seen.is_switching) == (ann.key, False, slot.source.rid, False)
    assert theirs.paused_rids == ()
    assert QualityMeter(1.0).take(ann, now).paused_rids == ("f",)
