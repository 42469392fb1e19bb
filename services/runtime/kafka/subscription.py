"""What a consumer reads, and for whom it hurries."""

from dataclasses import dataclass

from services.runtime.config import KafkaConfig

# A member learns at its next heartbeat that the group changes, and until all have learned it nobody has the partitions
# that move. Raising it makes each rollout stop the records of a group for longer (a third of the session, 2 s, would
# double the wait to save a request each two seconds); lowering it costs the broker and the service more small requests
# while nothing happens.
MAX_HEARTBEAT_MS = 1_000
# How many times later the partitions of a background subscription's dead member move, and how many times longer it
# rests and leaves uncommitted what it handled. Raising it saves requests; lowering it moves them sooner, and repeats
# less after a kill.
BACKGROUND_FACTOR = 5


@dataclass(frozen=True)
class Subscription:
    """What a consumer reads, and how.

    Each consumer costs the broker and its service some requests a second though nothing happens, so that topics whose
    records need the same things to be there are read together. Their batches are handled one after another: while one
    topic's record is tried again, the others wait too. What may fail for reasons of its own has its own subscription.
    """

    topics: tuple[str, ...]
    # Members of a group share the partitions. None: read everything from the start, and commit nothing.
    group: str | None
    # The most records in a batch. Raising it takes fewer round trips; lowering it repeats less after a failure.
    max_batch: int = 200
    # Nobody waits for what these records cause. After a pause the first still comes at once from a broker whose fetches
    # wait; those that follow it gather (polling.py: GATHER_S). A change of the group takes seconds, and with other
    # brokers the first record after a pause is later.
    background: bool = False
    # Records may wait twice as long for a change of the group: nobody looks at what they cause.
    unhurried: bool = False

    @property
    def patience(self) -> int:
        """How many times longer than others it waits wherever waiting saves requests."""
        return BACKGROUND_FACTOR if self.background else 1

    def session_ms(self, config: KafkaConfig) -> int:
        """After so long without a heartbeat the group takes a member for dead."""
        return config.session_timeout_ms * self.patience

    def heartbeat_ms(self, config: KafkaConfig) -> int:
        """The time between two heartbeats of a member."""
        session_ms = self.session_ms(config)
        if self.background or self.unhurried:
            return session_ms // 3
        return min(session_ms // 6, MAX_HEARTBEAT_MS)
