"""A running call needs its SFU and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from tests.faults.checker.history import Fault, Heard, History

# Far above what a busy machine keeps a packet. Raising it lets shorter cuts pass; lowering it takes a machine that
# starts a whole stack anew for a cut.
SILENCE_S = 8.0
# How long a worker's fault may show after its end: devices find out, ask for another grant, and connect.
AFTER_S = 60.0


def media_goes_on(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """Whatever happens to the other services, nobody falls silent or connects anew; after a fault of the worker, too,
    both hear each other in the end, or the call has ended.
    """
    for heard in history.heard:
        for text in _cuts(heard, history.faults):
            yield (heard.call_id, heard.person), f"{heard.person} in call {heard.call_id} {text}"


def _cuts(heard: Heard, faults: tuple[Fault, ...]) -> Iterator[str]:
    worker_faults = [(fault.began_s, fault.ended_s + AFTER_S) for fault in faults if _hits_media(fault)]

    def is_excused(from_s: float, to_s: float) -> bool:
        return any(began_s <= to_s and from_s <= ended_s for began_s, ended_s in worker_faults)

    for from_s, to_s in pairwise((*heard.at_s, heard.until_s)):
        if to_s - from_s > SILENCE_S and not is_excused(from_s, to_s):
            yield f"heard nothing from {from_s:.1f} to {to_s:.1f} s"
    for at_s in heard.reconnected_s:
        if not is_excused(at_s, at_s):
            yield f"had to connect anew at {at_s:.1f} s"
    if heard.has_ended and not is_excused(heard.until_s, heard.until_s):
        yield f"was put out of it at {heard.until_s:.1f} s"
    if not heard.has_ended and heard.until_s - heard.at_s[-1] > AFTER_S:
        yield f"heard nothing any more after {heard.at_s[-1]:.1f} s"


def _hits_media(fault: Fault) -> bool:
    return fault.target.startswith("sfu")
