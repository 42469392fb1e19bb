"""The same rules on a faster clock, so that a drill need not take the hours that burn rates look back on."""

from __future__ import annotations

import copy
import re
from typing import Any

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+)([smhd])")
_WINDOW = re.compile(r"\[(\d+[smhd])\]")


def quickened(groups: list[dict[str, Any]], factor: int, least_s: int = 5) -> list[dict[str, Any]]:
    """The groups with each window and each `for` shorter by `factor`; no window below `least_s`.

    Names, thresholds and everything else stay, so `ratio_rate1h` then looks back an hour by `factor`.
    """
    quick = copy.deepcopy(groups)
    for rule in (rule for group in quick for rule in group["rules"]):
        rule["expr"] = _WINDOW.sub(lambda found: f"[{_shorter(found[1], factor, least_s)}]", rule["expr"])
        if "for" in rule:
            rule["for"] = _shorter(rule["for"], factor, 0)
    return quick


def _shorter(duration: str, factor: int, least_s: int) -> str:
    found = _DURATION.fullmatch(duration)
    if found is None:
        raise ValueError(f"{duration} is not a number and one of s, m, h, d")
    return f"{max(least_s, int(found[1]) * _UNITS_S[found[2]] // factor)}s"
