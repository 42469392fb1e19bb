"""One call as the record has it, moment by moment: who came and went, where its media was, and how it fared."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

# From these on a measurement is worth a line. Raising them hides what users notice; lowering them hides it among the
# rest.
POOR_LOSS = 0.02
POOR_FROZEN = 0.02
POOR_CONCEALED = 0.05
# Below this "many users are dissatisfied" (ITU-T G.107 annex B).
POOR_MOS = 3.6


@dataclass(frozen=True)
class CallState:
    """The call after a change. `move` says why its media was last moved, and `epoch` how often."""

    time: datetime
    state: str
    joined: tuple[str, ...]
    epoch: int
    move: str


@dataclass(frozen=True)
class Media:
    """A device's media on a worker came up; or it is gone, with the reason."""

    time: datetime
    device: str
    worker: str
    reason: str = ""


@dataclass(frozen=True)
class Silence:
    """A worker has heard nothing of a device since then."""

    time: datetime
    device: str
    worker: str
    since: datetime


@dataclass(frozen=True)
class Leg:
    """One direction of a device over an interval; `mos` is 0 without packets, `rtt_ms` when not known."""

    kbps: float
    loss: float
    rtt_ms: float
    mos: float


@dataclass(frozen=True)
class Measured:
    """A device over an interval. `videos`: what it receives, as `bob 720`; `paused`: own layers that nobody takes."""

    time: datetime
    device: str
    worker: str
    uplink: Leg
    downlink: Leg
    estimate_kbps: float
    frozen: float
    concealed: float
    videos: tuple[str, ...]
    paused: tuple[str, ...]
    # The interval that ends at `time`.
    seconds: float = 5.0

    @property
    def faults(self) -> tuple[str, ...]:
        """What of it a user may have noticed."""
        found = []
        for name, leg in (("uplink", self.uplink), ("downlink", self.downlink)):
            if leg.loss >= POOR_LOSS:
                found.append(f"{name} loses {leg.loss:.0%}")
            if 0 < leg.mos < POOR_MOS:
                found.append(f"{name} MOS {leg.mos:.1f}")
        if self.frozen >= POOR_FROZEN:
            found.append(f"pictures stood still {self.frozen:.0%} of the time")
        if self.concealed >= POOR_CONCEALED:
            found.append(f"sound was made up {self.concealed:.0%} of the time")
        return tuple(found)


Moment = CallState | Media | Silence | Measured
UNKNOWN = "the record has nothing of this call: it was never there, or is too long ago"


class Row(NamedTuple):
    """A moment in words. `faults`: what of it a user may have noticed, which `what` has, too."""

    time: datetime
    who: str
    what: str
    faults: tuple[str, ...] = ()


def timeline(moments: Iterable[Moment], *, every: bool = False) -> list[str]:
    """The moments in their order, one a line. Of measurements those that say something new, or `every` one."""
    lines = [
        f"{row.time.isoformat(timespec='milliseconds')}  {row.who}  {row.what}" for row in rows_of(moments, every=every)
    ]
    return lines or [UNKNOWN]


def rows_of(moments: Iterable[Moment], *, every: bool = False) -> list[Row]:
    """The same as rows."""
    rows: list[Row] = []
    shown: dict[str, tuple[object, ...]] = {}
    silent: dict[str, str] = {}
    state: tuple[object, ...] = ()
    for moment in sorted(moments, key=lambda moment: moment.time):
        match moment:
            case CallState():
                # Its version also rises for what is none of media: hands, locks.
                known = (moment.state, moment.joined, moment.epoch)
                if known != state:
                    is_moved = bool(state) and moment.epoch != state[2]
                    rows.append(Row(moment.time, "call", _state(moment, moved=is_moved)))
                state = known
            case Silence(time, device, worker, since):
                silent[device] = worker
                rows.append(Row(time, device, f"silent on {worker} since {since.isoformat(timespec='milliseconds')}"))
            case Media():
                is_back = silent.pop(moment.device, "") == moment.worker
                rows.append(Row(moment.time, moment.device, _media(moment, is_back=is_back)))
            case Measured():
                says = (moment.worker, moment.videos, moment.paused, moment.faults)
                if every or moment.faults or says != shown.get(moment.device):
                    rows.append(Row(moment.time, moment.device, _measured(moment), moment.faults))
                shown[moment.device] = says
    return rows


def _media(moment: Media, *, is_back: bool) -> str:
    if moment.reason:
        return f"left {moment.worker}: {moment.reason}"
    return f"heard again on {moment.worker}" if is_back else f"connected to {moment.worker}"


def _state(moment: CallState, *, moved: bool) -> str:
    joined = ", ".join(moment.joined) or "nobody"
    return f"{moment.state}; in it: {joined}" + (f"; media moved ({moment.move})" if moved else "")


def _measured(moment: Measured) -> str:
    def leg(name: str, leg: Leg) -> str:
        rtt = f", {leg.rtt_ms:.0f} ms" if leg.rtt_ms else ""
        return f"{name} {leg.kbps:.0f} kbit/s, {leg.loss:.1%} lost{rtt}"

    parts = [leg("up", moment.uplink), leg("down", moment.downlink)]
    if moment.estimate_kbps:
        parts.append(f"path bears {moment.estimate_kbps:.0f} kbit/s")
    parts.append("sees " + (", ".join(moment.videos) or "nobody"))
    if moment.paused:
        parts.append("paused " + ", ".join(moment.paused))
    return "; ".join((*parts, *(f"! {fault}" for fault in moment.faults)))
