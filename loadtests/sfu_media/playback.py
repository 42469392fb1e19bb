"""What a series of a page's reports says of its playback. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any


@dataclass(frozen=True)
class Sample:
    """At one instant: pictures decoded so far, width of the last, the browser's count of freezes, and sound so far.

    `encoded` is what the other side's camera gave so far.
    """

    at_s: float
    decoded: int
    width: int
    freezes: int
    energy: float
    encoded: int


def sample_of(report: dict[str, Any], other: dict[str, Any], at_s: float) -> Sample:
    """From the reports of a page and of the one that it watches."""
    videos = [line for line in report["inbound"].values() if line["kind"] == "video"]
    sounds = [line for line in report["inbound"].values() if line["kind"] == "audio"]
    encoded = [line.get("frames") or 0 for name, line in other["outbound"].items() if name != "audio"]
    return Sample(
        at_s,
        max((line.get("framesDecoded") or 0 for line in videos), default=0),
        max((line.get("width") or 0 for line in videos), default=0),
        max((line.get("freezes") or 0 for line in videos), default=0),
        max((line.get("packets") or 0 for line in sounds), default=0),
        max(encoded, default=0),
    )


def longest_pause_ms(samples: Sequence[Sample]) -> float:
    """The longest time without a new picture, as fine as the samples are."""
    longest = 0.0
    began = samples[0].at_s
    for before, after in pairwise(samples):
        if after.decoded > before.decoded:
            longest = max(longest, after.at_s - began)
            began = after.at_s
    return 1000 * max(longest, samples[-1].at_s - began)


def time_to_ms(samples: Sequence[Sample], width: int, *, is_narrower: bool) -> float | None:
    """From the first sample to the first picture narrower than `width`, or at least as wide; None if it never came."""
    for sample in samples:
        if sample.width and (sample.width < width if is_narrower else sample.width >= width):
            return 1000 * (sample.at_s - samples[0].at_s)
    return None


def row_of(samples: Sequence[Sample]) -> dict[str, Any]:
    """The figures of one condition."""
    first, last = samples[0], samples[-1]
    return {
        "frames_decoded_ratio": round((last.decoded - first.decoded) / max(last.encoded - first.encoded, 1), 3),
        "freezes": last.freezes - first.freezes,
        "longest_freeze_ms": round(longest_pause_ms(samples)),
        "sound_goes_on": all(b.energy > a.energy for a, b in zip(samples, samples[20:], strict=False)),
    }
