"""What hooks need of the world."""

from collections.abc import Collection, Sequence
from datetime import datetime
from enum import Enum
from typing import Protocol

from services.messaging.hooks.core.holding import Decision, Held, HeldId, Place, Queue
from services.messaging.hooks.core.verdicts import Question, Verdict
from services.messaging.kernel.content import Text
from services.messaging.kernel.model import ConversationId, DraftKey, Message, UserId


class Problem(Enum):
    """Why there is no verdict."""

    # The hook did not answer in time, or there is nobody: whoever asks waits in vain.
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    # It answered with an error, or with what cannot be read.
    FAILED = "failed"
    UNREADABLE = "unreadable"
    # It does not fit what was asked.
    UNFIT = "unfit"
    # There was no turn in time: more is written than the hook may be asked at once.
    BUSY = "busy"
    # The hook is given up for a while.
    GIVEN_UP = "given_up"


class NoAnswer(Exception):
    """The hook gave no verdict. `detail` is for the log."""

    def __init__(self, problem: Problem, detail: str = "") -> None:
        super().__init__(detail or problem.value)
        self.problem = problem


class MessageHook(Protocol):
    """The network's service that judges."""

    async def ask(self, question: Question, timeout_s: float) -> Verdict:
        """Raises NoAnswer, also for an answer that cannot be read."""


class Places(Protocol):
    """What is remembered of conversations from one send to the next."""

    def remembered(self, key: DraftKey) -> Place | None:
        """As find_place of a HeldStore, without asking anybody; it has a `version`, and may be old. None: look."""

    def forget(self, conversation_ids: Collection[ConversationId]) -> None:
        """What is remembered of these does not hold any more."""


class HeldStore(Protocol):
    """What is held. Errors of every method: StoreUnavailable."""

    async def find_place(self, key: DraftKey) -> Place | None:
        """Where a message of this key is to be written. None: there is no such conversation."""

    async def hold(self, held: Held, most: int) -> bool:
        """Keep it, unless its message is stored, or it is held already. A new text for a message takes the place of the
        one before. Its files stay as long as it does. Idempotent. False: `most` of the sender's wait already."""

    async def list_waiting(self, after: HeldId | None, limit: int) -> Sequence[Held]:
        """What waits, the oldest first."""

    async def decide(self, held_id: HeldId, decision: Decision, now: datetime) -> Held:
        """Decide on it; what it was before, in the state after. What is refused or sent holds nothing any more. Errors:
        HeldNotFound, HeldDecided."""

    async def withdraw(self, key: DraftKey, now: datetime) -> None:
        """Its sender takes back what is held under this key. Errors: HeldNotFound, HeldDecided."""

    async def queue(self) -> Queue:
        """How much waits."""

    async def forget(self, waiting_since: datetime, decided_before: datetime, limit: int) -> int:
        """Delete what waits since before then, and what was decided on before then; how many."""


class Sending(Protocol):
    """Sends what was let pass."""

    async def send_reviewed(self, held: Held) -> Message:
        """Store it as the newest message of its conversation, without asking the hook. Idempotent by its key. Errors as
        for a send of its sender."""

    async def find_sent(self, held: Held) -> Message | None:
        """What became of it, if it was sent; of an edit, its message."""


class Editing(Protocol):
    """Edits messages as was let pass."""

    async def edit_reviewed(self, user_id: UserId, conversation_id: ConversationId, seq: int, text: Text) -> Message:
        """Give a message its new text, however old it is. Idempotent. Errors as for an edit of its sender."""
