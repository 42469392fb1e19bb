"""Reads fields of bits: of parameter sets of H.264, and of dependency descriptors."""

from typing import final


class CutShort(Exception):
    """There are fewer bits than what they say needs, or something that is not read."""


@final
class Bits:
    """The bits after the first `skipped` ones, from the most significant one on."""

    def __init__(self, value: bytes, skipped: int = 0) -> None:
        self._value = int.from_bytes(value, "big")
        self._left = 8 * len(value) - skipped

    def read(self, count: int) -> int:
        """So many bits: u(n) of H.264, f(n) of AV1. Raises CutShort."""
        self._left -= count
        if self._left < 0:
            raise CutShort
        return self._value >> self._left & (1 << count) - 1

    def read_golomb(self) -> int:
        """ue(v) of H.264, and of se(v) something that takes as many bits. Raises CutShort."""
        zeros = 0
        while not self.read(1):
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)

    def read_below(self, limit: int) -> int:
        """ns(n) of AV1: a number below the limit. Raises CutShort."""
        width = limit.bit_length()
        shorter = (1 << width) - limit
        value = self.read(width - 1)
        return value if value < shorter else (value << 1) - shorter + self.read(1)
