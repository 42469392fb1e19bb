"""The fan-out: events of conversations become deliveries to their members."""

from collections.abc import Callable, Sequence
from uuid import UUID

from parley.messaging.v1 import events_pb2, messages_pb2

from services.messaging.kernel.model import ConversationId, Recipient
from services.messaging.kernel.ports import ConversationReader
from services.messaging.kernel.request import REQUEST_MESSAGES, RequestState
from services.messaging.wire.contents import kind_in
from services.messaging.wire.deliveries import deliveries, is_newcomer, is_told_at_once
from services.messaging.wire.events import read_event, withheld_event
from services.runtime.kafka.bus import Incoming, Outgoing, Publisher, trace_headers

# Groups of up to so many are told directly, ahead of the topic. Raising it is sooner in larger groups, and each member
# costs presence a second delivery, which it drops; lowering it saves that.
DIRECT_MEMBERS = 64


class FanOut:
    """messaging.events.v1 → delivery.v1: one delivery for each member of the conversation.

    Order per conversation and member is kept. A repeated event gives repeated deliveries, which devices drop by seq.
    `offer` hands deliveries to presence ahead of the topic.
    """

    def __init__(
        self,
        conversations: ConversationReader,
        publisher: Publisher,
        request_messages: int = REQUEST_MESSAGES,
        offer: Callable[[Sequence[Outgoing]], bool] = lambda _: False,
    ) -> None:
        self._conversations = conversations
        self._publisher = publisher
        self._offer = offer
        # Of a group, delivered to members whose request is pending.
        self._request_messages = request_messages

    async def handle(self, records: Sequence[Incoming]) -> None:
        """Fan a batch out; returns when the broker has all of it.

        Errors: PoisonRecord, StoreUnavailable, BusUnavailable.
        """
        events = [(record, read_event(record)) for record in records]
        # The relay delivers the others directly.
        open_events = [(record, event) for record, event in events if not event.direct_user_ids]
        if not open_events:
            return
        ids = {ConversationId(UUID(event.conversation_id)) for _, event in open_events}
        recipients = await self._conversations.recipients_of(ids)
        records_out: list[Outgoing] = []
        for record, event in open_events:
            members = recipients.get(ConversationId(UUID(event.conversation_id)), ())
            headers = trace_headers(record.trace)
            waiting = {member.user_id for member in members if member.request is RequestState.PENDING}
            newcomers = {m.user_id for m in members if is_newcomer(event, m.joined_unix_s)}
            receivers = _receivers(event, members, self._request_messages)
            let_in = [user for user in receivers if user not in waiting]
            own = deliveries(event, let_in, headers, newcomers)
            if waiting:
                asked = [user for user in receivers if user in waiting]
                own += deliveries(withheld_event(event), asked, headers, newcomers)
            if is_told_at_once(event) and len(own) <= DIRECT_MEMBERS:
                self._offer(own)
            records_out += own
        await self._publisher.publish(records_out)


def _receivers(event: events_pb2.ConversationEvent, members: Sequence[Recipient], request_messages: int) -> list[str]:
    """Who gets the event: of a message, the members who may see it; of a change of members, also those who were
    removed; of nothing, those who declined."""
    members = [member for member in members if member.request is not RequestState.DECLINED]
    match event.WhichOneof("event"):
        case "message_sent" | "message_changed":
            message = event.message_sent.message if event.HasField("message_sent") else event.message_changed.message
            most = request_messages if event.HasField("message_sent") else 0
            return [member.user_id for member in members if _is_live(member, message, most)]
        case "conversation_changed":
            still_in = [member.user_id for member in members]
            return [*still_in, *(user for user in event.conversation_changed.removed_user_ids if user not in still_in)]
        case "pair_closed":
            # For other services.
            return []
        case _:
            return [member.user_id for member in members]


def _is_live(member: Recipient, message: messages_pb2.Message, request_messages: int) -> bool:
    """Whether a member is sent a message live. Somebody whose request is pending is sent the first few after the system
    message that added them, and every one that was erased: the rest is there when they look."""
    if message.seq <= member.visible_after_seq:
        return False
    if member.request is RequestState.ACCEPTED or _is_gone(message):
        return True
    return request_messages > 0 and message.seq <= member.visible_after_seq + 1 + request_messages


def _is_gone(message: messages_pb2.Message) -> bool:
    kind = kind_in(message)
    return kind is not None and kind.is_gone
