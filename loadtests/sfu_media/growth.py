"""Whether something grows: the slope of what was sampled, and how far it can be trusted. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

# What counts as growth: a slope that chance hardly makes, and that somebody would notice within a day. Raising it lets
# a slow leak pass; lowering it calls the allocator's habits leaks.
MIN_STANDARD_ERRORS, MIN_SHARE_PER_10_MIN = 3.0, 0.01
# Fewer samples say nothing.
MIN_SAMPLES = 4
RULE = (
    f"over the last half, slope > {MIN_STANDARD_ERRORS:g} standard errors and "
    f"> {MIN_SHARE_PER_10_MIN:.0%} of the level per 10 minutes"
)


def judge(samples: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """The verdict over the last half of the samples, (minutes, value) each, in order.

    `slope_per_minute` with its `standard_error` (least squares), the mean `level`, and `grows` by RULE; `grows` and
    the slope are None where fewer than MIN_SAMPLES are left to judge by.
    """
    later = samples[len(samples) // 2 :]
    if len(later) < MIN_SAMPLES:
        return {"slope_per_minute": None, "standard_error": None, "level": None, "grows": None}
    slope, error = fit(later)
    level = statistics.fmean(value for _, value in later)
    grows = slope > MIN_STANDARD_ERRORS * error and slope * 10 > MIN_SHARE_PER_10_MIN * level
    return {"slope_per_minute": slope, "standard_error": error, "level": level, "grows": grows}


def fit(samples: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Slope of the least squares' line, and its standard error; of three samples and more."""
    xs, ys = zip(*samples, strict=True)
    slope, intercept = statistics.linear_regression(xs, ys)
    residuals = math.fsum((y - intercept - slope * x) ** 2 for x, y in samples)
    spread = math.fsum((x - statistics.fmean(xs)) ** 2 for x in xs)
    return slope, math.sqrt(residuals / (len(samples) - 2) / spread)
