"""The times in a token (RFC 7519, section 4.1), by our own clock and with leeway for the clock of who made it."""

import math
from collections.abc import Mapping
from typing import Any

from jwt.types import Options

from services.runtime.clock import CLOCK_SKEW_S, Clock


def options(*required: str) -> Options:
    """PyJWT's, with the claims that must be there; it would judge times by the machine's clock, with no leeway."""
    return {"require": list(required), "verify_exp": False, "verify_iat": False, "verify_nbf": False}


def check_times(claims: Mapping[str, Any], clock: Clock) -> float:
    """When the token expires, in Unix seconds. Raises ValueError for what is no time, or is not valid yet.

    `iat` is judged as `nbf` is: what was issued in our future was issued by somebody whose clock is too far ahead.
    """
    latest = clock.now().timestamp() + CLOCK_SKEW_S
    for name in ("nbf", "iat"):
        if name in claims and not _seconds(claims, name) <= latest:
            raise ValueError(f"{name} is in the future")
    return _seconds(claims, "exp")


def check_life(claims: Mapping[str, Any], clock: Clock, longest_s: float) -> float:
    """As check_times; also raises ValueError without `iat`, and for a life that is too long or ends before it began."""
    expires_at = check_times(claims, clock)
    if not 0 < expires_at - _seconds(claims, "iat") <= longest_s:
        raise ValueError("the token's life is not within the bounds")
    return expires_at


def is_expired(expires_at: float, clock: Clock) -> bool:
    """Whether a token that expires then (Unix seconds) has done so for every clock that may be right."""
    return not clock.now().timestamp() < expires_at + CLOCK_SKEW_S


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    try:
        if not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value):
            return float(value)
    except OverflowError:
        # A whole number beyond what a float can hold.
        pass
    raise ValueError(f"{name} is not a time")
