"""What a client asks to see, and which videos get its slots for it."""

from collections.abc import Sequence
from typing import NamedTuple

from services.sfu.core.ids import UserId

# Requests kept of one client; there are not more slots than that.
MAX_VIDEO_REQUESTS = 64
# A person who is shown stays this much longer than others after speaking. Raising it shows a new speaker later;
# lowering it makes pictures change to and fro.
HOLD_S = 3.0
# Serves the pinned before the large and the large before the small.
PIN_WEIGHT = 1 << 16


class VideoRequest(NamedTuple):
    """A person to see: the camera or the screen of any device, or of one. `max_height` in pixels, 0 for no limit."""

    user_id: UserId
    device_id: str
    is_screen: bool
    max_height: int
    is_pinned: bool

    @property
    def weight(self) -> int:
        """The greater is served first."""
        return self.is_pinned * PIN_WEIGHT + min(self.max_height or PIN_WEIGHT - 1, PIN_WEIGHT - 1)


class VideoRequests(NamedTuple):
    """`max_streams` is how many videos at once, None for as many as there are slots. Without `requests`: the last
    speakers."""

    requests: tuple[VideoRequest, ...] = ()
    max_streams: int | None = None


class Candidate(NamedTuple):
    """A video to see, by its index in the caller's list. One that is not on may say so itself, or only look so."""

    user_id: UserId
    device_id: str
    is_screen: bool
    is_on: bool
    spoke_at: float
    declares_off: bool = False


class ChosenVideo(NamedTuple):
    """A candidate's index, and how it is requested."""

    candidate: int
    max_height: int
    weight: int


def order_unrequested(candidates: Sequence[Candidate]) -> list[int]:
    """The indices of the candidates in the order of `choose_videos` where nothing is requested or shown yet."""

    def order(index: int) -> tuple[bool, bool, bool, float, int]:
        candidate = candidates[index]
        return not candidate.is_on, candidate.declares_off, not candidate.is_screen, -candidate.spoke_at, index

    return sorted(range(len(candidates)), key=order)


def choose_videos(
    candidates: Sequence[Candidate], held: Sequence[int], requested: VideoRequests, slots: int
) -> list[ChosenVideo]:
    """The videos that are shown: pinned, requested, on, screens, last speakers; the most wanted first.

    `held` are the indices of those shown now: they stay a little longer than others.
    """
    limit = slots if requested.max_streams is None else min(slots, max(requested.max_streams, 0))
    ranked = []
    for index, candidate in enumerate(candidates):
        request = _find(requested.requests, candidate)
        height, weight = (request.max_height, request.weight) if request is not None else (0, 0)
        spoke_at = candidate.spoke_at + (HOLD_S if index in held else 0.0)
        order = (request is None or not request.is_pinned, request is None, not candidate.is_on, candidate.declares_off)
        ranked.append(((*order, not candidate.is_screen, -spoke_at, index), ChosenVideo(index, height, weight)))
    ranked.sort(key=lambda entry: entry[0])
    return [choice for _, choice in ranked[:limit]]


def _find(requests: Sequence[VideoRequest], candidate: Candidate) -> VideoRequest | None:
    for request in requests:
        same_user = request.user_id == candidate.user_id and request.is_screen == candidate.is_screen
        if same_user and request.device_id in ("", candidate.device_id):
            return request
    return None
