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


def check_life(claims: Mapping[str, Any], max_life_s: float, clock: Clock) -> float:
    """When the token was issued, in Unix seconds. Raises ValueError for a life that is too long.

    A token that does not say when it was issued (RFC 7519 leaves `iat` out or in) counts as issued as early as its end
    allows, and what is left of its life is bounded instead.
    """
    if "iat" not in claims:
        expires_at = _seconds(claims, "exp")
        if expires_at - clock.now().timestamp() > max_life_s + CLOCK_SKEW_S:
            raise ValueError(f"it expires later than in {max_life_s:.0f} s")
        return expires_at - max_life_s
    issued_at = _seconds(claims, "iat")
    if _seconds(claims, "exp") - issued_at > max_life_s:
        raise ValueError(f"it lives longer than {max_life_s:.0f} s from iat to exp")
    return issued_at


def check_self_signed(claims: Mapping[str, Any], subject: str, max_life_s: float, clock: Clock) -> float:
    """When a token expires that its bearer, the `subject`, signed. Raises ValueError for another's, and bad times."""
    if not claims["iss"] == claims["sub"] == subject:
        raise ValueError("the key speaks for another")
    expires_at = check_times(claims, clock)
    if check_life(claims, max_life_s, clock) >= expires_at:
        raise ValueError("it ends before it began")
    return expires_at


def is_expired(expires_at: float, clock: Clock) -> bool:
    """Whether a token that expires then (Unix seconds) has done so for every clock that may be right."""
    return not clock.now().timestamp() < expires_at + CLOCK_SKEW_S


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is not a time")
    try:
        seconds = float(value)
    except OverflowError as error:
        # JSON's whole numbers have no end.
        raise ValueError(f"{name} is not a time") from error
    if not math.isfinite(seconds):
        raise ValueError(f"{name} is not a time")
    return seconds
