"""Which new streams are let in: three limits, asked in one order."""

from collections.abc import Callable

from services.gateway import metrics
from services.gateway.core.admission import SharedStreamRate, StreamsPerAddress
from services.gateway.core.errors import Draining, TooManyDevices, TooManyStreams
from services.gateway.core.model import UserId
from services.gateway.rates import UserStreamRate
from services.gateway.streams import Streams
from services.runtime.clock import Clock


class Admission:
    """Asked before a stream is opened or resumed. `chance` gives a random number from 0 to 1."""

    def __init__(
        self,
        streams: Streams,
        shared_rate: SharedStreamRate,
        user_rate: UserStreamRate,
        per_address: StreamsPerAddress,
        clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        self._streams = streams
        self._shared_rate = shared_rate
        self._user_rate = user_rate
        self._per_address = per_address
        self._clock = clock
        self._chance = chance

    def admit(self, user_id: UserId, address: str) -> str:
        """Let one more stream in, and give what `depart` takes. Errors: Draining, TooManyDevices, TooManyStreams.

        `address` is the device's, as the edge saw it; empty for a device that comes past the edge. A user or an address
        that has had its share takes nothing of what all share.
        """
        try:
            if self._streams.draining:
                raise Draining("this gateway is stopping", 0.5 + self._chance())
            if self._streams.is_full:
                raise TooManyDevices("this gateway takes no more devices")
            self._user_rate.admit(user_id, self._clock.monotonic())
            network = self._per_address.enter(address)
            try:
                self._shared_rate.admit(self._clock.monotonic(), self._chance())
            except TooManyStreams:
                self._per_address.leave(network)
                raise
        except (Draining, TooManyDevices, TooManyStreams) as error:
            metrics.REFUSED.labels(type(error).__name__).inc()
            raise
        return network

    def depart(self, network: str) -> None:
        """The RPC of a stream that was let in has ended."""
        self._per_address.leave(network)
