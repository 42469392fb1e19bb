from services.sfu.core.ids import UserId
from services.sfu.core.selection.video_requests import (
    HOLD_S,
    Candidate,
    ChosenVideo,
    VideoRequest,
    VideoRequests,
    choose_videos,
    order_unrequested,
)


def camera(user: str, spoke_at: float = 0.0, *, is_on: bool = True, device: str = "d1") -> Candidate:
    return Candidate(UserId(user), device, is_screen=False, is_on=is_on, spoke_at=spoke_at)


def screen(user: str) -> Candidate:
    return Candidate(UserId(user), "d1", is_screen=True, is_on=True, spoke_at=0.0)


def request(user: str, height: int = 0, *, pinned: bool = False, device: str = "") -> VideoRequest:
    return VideoRequest(UserId(user), device, False, height, pinned)


def chosen(
    candidates: list[Candidate], *requests: VideoRequest, slots: int = 2, held: tuple[int, ...] = ()
) -> list[int]:
    return [choice.candidate for choice in choose_videos(candidates, held, VideoRequests(requests), slots)]


def test_without_requests_screens_come_first_then_the_last_speakers() -> None:
    candidates = [camera("ann", 1.0), camera("bob", 9.0), screen("cid"), camera("dan", 99.0, is_on=False)]
    assert chosen(candidates, slots=4) == order_unrequested(candidates) == [2, 1, 0, 3]


def test_pinned_videos_come_before_requested_ones_and_these_before_all_others() -> None:
    candidates = [camera("ann", 9.0), camera("bob"), camera("cid")]
    assert chosen(candidates, request("bob"), request("cid", pinned=True)) == [2, 1]


def test_a_request_may_name_a_device() -> None:
    candidates = [camera("ann", device="phone"), camera("ann", device="laptop")]
    assert chosen(candidates, request("ann", device="laptop"), slots=1) == [1]


def test_a_choice_carries_the_requested_height_and_larger_ones_weigh_more() -> None:
    candidates = [camera("ann"), camera("bob")]
    small, large = VideoRequests((request("ann", 180), request("bob", 720))).requests
    assert choose_videos(candidates, (), VideoRequests((small, large)), 2) == [
        ChosenVideo(0, 180, small.weight),
        ChosenVideo(1, 720, large.weight),
    ]
    assert request("ann", 90, pinned=True).weight > request("bob").weight > large.weight > small.weight


def test_a_video_that_is_shown_stays_for_a_moment_after_another_spoke() -> None:
    candidates = [camera("ann", 1.0), camera("bob", 1.0 + HOLD_S - 0.1), camera("cid", 1.1 + HOLD_S)]
    assert chosen(candidates[:2], slots=1, held=(0,)) == [0]
    assert chosen([candidates[0], candidates[2]], slots=1, held=(0,)) == [1]


def test_no_more_streams_than_are_asked_for() -> None:
    candidates = [camera("ann"), camera("bob")]
    assert len(choose_videos(candidates, (), VideoRequests((), 1), 2)) == 1
    assert choose_videos(candidates, (), VideoRequests((), -1), 2) == []
