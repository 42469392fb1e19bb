"""One client's way to the worker on which its sound, or its picture, comes later than the other."""

from __future__ import annotations

import random
import re

from loadtests.sfu_media.impairment import Address, Condition, Direction, ImpairedRelay


class TwoWays(ImpairedRelay):
    """The way up of one client, with its sound and its picture on ways of their own; all else goes undelayed."""

    def __init__(self) -> None:
        super().__init__(seed=3)
        self._address: Address | None = None
        rng = random.Random(3)
        self._ways = {kind: Direction(Condition(), rng) for kind in ("sound", "picture")}
        self._opus = -1

    async def start(self) -> Address:
        """See ImpairedRelay."""
        self._address = await super().start()
        return self._address

    def between(self, offer: str, answer: str) -> str:
        """The answer to the offer of the client whose way this is, with the relay's address."""
        assert self._address is not None
        found = re.search(r"a=rtpmap:(\d+) opus", offer)
        self._opus = int(found[1]) if found else -1
        return self.reroute(answer, self._address)

    def delay(self, sound_s: float, picture_s: float) -> None:
        """From now on."""
        self._ways["sound"].condition = Condition(delay_s=sound_s)
        self._ways["picture"].condition = Condition(delay_s=picture_s)

    def _from_client(self, data: bytes, addr: Address) -> None:
        is_media = len(data) > 12 and data[0] >> 6 == 2 and data[1] & 0x7F not in range(64, 96)
        if is_media and self._worker is not None:
            kind = "sound" if data[1] & 0x7F == self._opus else "picture"
            self._pass(self._ways[kind], self._outer, data, self._worker)
        else:
            super()._from_client(data, addr)
