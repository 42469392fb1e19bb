"""Which presence replica routes a user's devices, by what the replicas last said. No IO, no clock."""

from collections.abc import Iterable
from dataclasses import dataclass

from services.runtime.partitions import partition_of


@dataclass(frozen=True)
class Owner:
    """A replica, and the epoch of its assignment."""

    address: str
    epoch: int


@dataclass(frozen=True)
class _Assignment:
    epoch: int
    partitions: frozenset[int]
    partition_count: int


class Owners:
    """The assignments of the replicas that are attached.

    During a rebalance two may claim a partition: the one that said so last is believed. A wrong guess costs the time
    until the topic brings what went astray.
    """

    def __init__(self) -> None:
        # Who spoke last stands last.
        self._assignments: dict[str, _Assignment] = {}
        self._by_partition: dict[int, Owner] = {}
        self._partition_count = 0

    def assigned(self, address: str, epoch: int, partitions: Iterable[int], partition_count: int) -> None:
        """A replica said what it routes from now on."""
        self._assignments.pop(address, None)
        self._assignments[address] = _Assignment(epoch, frozenset(partitions), partition_count)
        self._index()

    def detached(self, address: str) -> None:
        """The stream to a replica broke."""
        if self._assignments.pop(address, None):
            self._index()

    def owner_of(self, user_id: str) -> Owner | None:
        """Who routes the user; None while nobody says so."""
        if not self._partition_count:
            return None
        return self._by_partition.get(partition_of(user_id, self._partition_count))

    def _index(self) -> None:
        claims = [(address, one) for address, one in self._assignments.items() if one.partitions]
        # The topic may be given more partitions, and then not all know it at once.
        self._partition_count = max((one.partition_count for _, one in claims), default=0)
        self._by_partition = {
            partition: Owner(address, one.epoch)
            for address, one in claims
            if one.partition_count == self._partition_count
            for partition in one.partitions
        }
