"""What a replica remembers of conversations between sends, so that most sends need to ask nothing."""

from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.messaging.hooks.core.holding import Place
from services.messaging.kernel.model import ConversationId, ConversationKind, Draft, DraftKey, UserId
from services.messaging.kernel.request import RequestState
from services.messaging.messages.core.sequencing import ConversationStates, Sequenced

# Conversations that are remembered. Raising it takes more memory (about 1 KB each); lowering it makes us ask again for
# less busy ones.
CAPACITY = 20_000


@dataclass(frozen=True)
class CachedState:
    """A conversation in which `senders` may write, as of `version` and `last_seq`."""

    last_seq: int
    last_time: datetime
    version: int
    direct_recipients: Sequence[UserId]
    senders: frozenset[UserId]
    vanish_after: timedelta | None
    # Those of the senders of whom something was held for a review.
    held: frozenset[UserId] = frozenset()


class StateCache:
    """Bounded; the least recently used goes first. What it gives may be out of date: the store compares."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._known: OrderedDict[ConversationId, CachedState] = OrderedDict()

    def sendable(self, drafts: Sequence[Draft]) -> list[Draft]:
        """The drafts that will not be refused, as far as is known; of one conversation all or none."""
        others = {draft.conversation_id for draft in drafts if not self._is_sendable(draft)}
        return [draft for draft in drafts if draft.conversation_id not in others]

    def states_of(self, drafts: Sequence[Draft]) -> ConversationStates:
        """What is known of the conversations of sendable drafts."""
        known = {draft.conversation_id: self._known[draft.conversation_id] for draft in drafts}
        return ConversationStates(
            last_seqs={id_: state.last_seq for id_, state in known.items()},
            senders={
                (id_, user_id): RequestState.ACCEPTED for id_, state in known.items() for user_id in state.senders
            },
            last_times={id_: state.last_time for id_, state in known.items()},
            versions={id_: state.version for id_, state in known.items()},
            direct_recipients={id_: state.direct_recipients for id_, state in known.items()},
            vanish_after={id_: state.vanish_after for id_, state in known.items() if state.vanish_after},
            held={(id_, user_id) for id_, state in known.items() for user_id in state.held},
        )

    def remembered(self, key: DraftKey) -> Place | None:
        """See the hooks' ports.Places. Nothing is remembered where somebody may not write, nor of requests."""
        state = self._known.get(key.conversation_id)
        if state is None or key.sender_id not in state.senders or key.sender_id in state.held:
            return None
        if not state.direct_recipients:
            return Place(ConversationKind.GROUP, is_member=True, version=state.version)
        others = [user_id for user_id in state.direct_recipients if user_id != key.sender_id]
        peer_id = others[0] if others else None
        return Place(ConversationKind.DIRECT, is_member=True, peer_id=peer_id, version=state.version)

    def learn(self, states: ConversationStates, sequenced: Sequenced, conversations: Iterable[ConversationId]) -> None:
        """Remember what was read of these, or still holds, and where the counters stand since."""
        senders: dict[ConversationId, set[UserId]] = defaultdict(set)
        for (conversation_id, user_id), request in states.senders.items():
            # Nothing is remembered of whom nobody else has accepted: how much they have sent counts.
            if request is RequestState.ACCEPTED and (conversation_id, user_id) not in states.unaccepted:
                senders[conversation_id].add(user_id)
        held: dict[ConversationId, set[UserId]] = defaultdict(set)
        for conversation_id, user_id in states.held:
            held[conversation_id].add(user_id)
        for conversation_id in conversations:
            before = self._known.pop(conversation_id, None)
            if conversation_id in states.blocked or conversation_id in states.frozen:
                continue
            version = states.versions[conversation_id]
            same = before if before and before.version == version else None
            direct_recipients = states.direct_recipients[conversation_id]
            vanish_after = states.vanish_after.get(conversation_id)
            writers = frozenset(senders[conversation_id] | (same.senders if same else frozenset()))
            with_held = frozenset(held[conversation_id] | (same.held if same else frozenset()))
            last_seq, last_time = sequenced.last_seqs[conversation_id], sequenced.last_times[conversation_id]
            self._known[conversation_id] = CachedState(
                last_seq, last_time, version, direct_recipients, writers, vanish_after, with_held
            )
        while len(self._known) > self._capacity:
            self._known.popitem(last=False)

    def forget(self, conversation_ids: Collection[ConversationId]) -> None:
        """What was remembered of these did not hold."""
        for conversation_id in conversation_ids:
            self._known.pop(conversation_id, None)

    def _is_sendable(self, draft: Draft) -> bool:
        state = self._known.get(draft.conversation_id)
        if state is None or draft.attachments:
            # Files are taken under the conversation's lock.
            return False
        return draft.sender_id in state.senders and draft.reply_to_seq <= state.last_seq
