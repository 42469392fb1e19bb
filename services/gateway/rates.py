"""How often one user may open a stream, or say that they type; core/admission.py has the limits that all share."""

from services.gateway.core.errors import TooManyStreams, TypingTooOften
from services.runtime.limits.token_buckets import Rates

# Users whose rate is remembered, of each kind. Raising it takes more memory; lowering it forgives those who took least
# sooner.
MAX_USERS = 50_000


class UserStreamRate:
    """The streams of one user: `per_s` in the long run, `burst` at once."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._rates = Rates(per_s, burst, MAX_USERS)

    def admit(self, user_id: str, now: float) -> None:
        """Let a stream pass. Raises TooManyStreams."""
        if delay_s := self._rates.take(user_id, now):
            raise TooManyStreams("you open streams too often", delay_s)


class UserTypingRate:
    """The typing notices of one user: `per_s` in the long run, `burst` at once."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._rates = Rates(per_s, burst, MAX_USERS)

    def admit(self, user_id: str, now: float) -> None:
        """Let a notice pass. Raises TypingTooOften."""
        if delay_s := self._rates.take(user_id, now):
            raise TypingTooOften("typing was said too often", delay_s)
