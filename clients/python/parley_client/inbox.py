"""What a device has been told, by its event stream and by Sync, and when."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from parley.calls.v1 import messages_pb2 as calls
from parley.calls.v1 import scheduled_pb2 as scheduled
from parley.gateway.v1 import messages_pb2 as gateway
from parley.keys.v1 import messages_pb2 as keys
from parley.messaging.v1 import messages_pb2 as messaging
from parley.messaging.v1 import service_pb2 as service

from parley_client.conversations import Conversations, Delta
from parley_client.entries import CallRecord, Entry, LinkPreview, Poll, Sticker, Voice
from parley_client.history import Arrival, ConversationInfo
from parley_client.waiting import Changes

ONLINE = gateway.PRESENCE_STATE_ONLINE
OFFLINE = gateway.PRESENCE_STATE_OFFLINE


def to_entry(message: messaging.Message) -> Entry:
    """A message as its history keeps it."""
    content = message.WhichOneof("content")
    call = None
    if content == "call":
        outcome = messaging.CallOutcome.Name(message.call.outcome).removeprefix("CALL_OUTCOME_")
        call = CallRecord(message.call.call_id, outcome, message.call.video, _milliseconds(message.call.length))
    return Entry(
        conversation_id=message.conversation_id,
        seq=message.seq,
        message_id=message.message_id,
        sender_id=message.sender_id,
        client_message_id=message.client_message_id,
        text=message.text.text if content == "text" else None,
        call=call,
        poll=_poll(message) if content == "poll" else None,
        sticker=_sticker(message.sticker) if content == "sticker" else None,
        voice=_voice(message.voice) if content == "voice" else None,
        preview=_preview(message.text.preview) if content == "text" and message.text.HasField("preview") else None,
        kind=content or "unknown",
        revision=message.revision,
        edit_count=message.edit_count,
        reply_to_seq=message.reply_to_seq,
        reactions=tuple((reaction.emoji, tuple(reaction.user_ids)) for reaction in message.reactions),
        expires_at_s=message.expire_time.ToMicroseconds() / 1e6 if message.HasField("expire_time") else None,
        attachments=tuple(attachment.attachment_id for attachment in message.attachments),
        forwarded=message.forwarded,
        view_once=message.view_once,
        opened_by=tuple(message.opened_by_user_ids),
    )


def _poll(message: messaging.Message) -> Poll:
    voters = {votes.option_index: tuple(votes.user_ids) for votes in message.poll_votes}
    options = tuple(message.poll.options)
    votes = tuple(voters.get(index, ()) for index in range(len(options)))
    return Poll(message.poll.question, options, message.poll.multiple, votes)


def _sticker(sticker: messaging.StickerContent) -> Sticker:
    return Sticker(sticker.url, sticker.width, sticker.height, sticker.description, sticker.provider_ref)


def _voice(voice: messaging.VoiceContent) -> Voice:
    return Voice(_milliseconds(voice.length) / 1000, voice.waveform)


def _preview(preview: messaging.LinkPreview) -> LinkPreview:
    return LinkPreview(preview.url, preview.title, preview.description, preview.site_name)


def to_info(conversation: messaging.Conversation, me: str) -> ConversationInfo:
    """A conversation as its history keeps it on a device of mine."""
    own = next((member for member in conversation.members if member.user_id == me), None)
    return ConversationInfo(
        conversation_id=conversation.conversation_id,
        revision=conversation.revision,
        title=conversation.title,
        history_open=conversation.history_open,
        add_audience=int(conversation.add_audience),
        roles=tuple((member.user_id, int(member.role)) for member in conversation.members),
        visible_after_seq=max(own.visible_after_seq if own else 0, conversation.history_start_seq),
        vanish_after_s=conversation.vanish_after.seconds,
        pinned=tuple(pin.seq for pin in conversation.pinned_messages),
    )


def _milliseconds(duration: Duration) -> int:
    return duration.ToMilliseconds()


class Inbox:
    """The device's whole knowledge. `changes` wakes whoever waits for some of it.

    `now_s` arguments are of the one clock whose differences the caller wants to know.
    """

    def __init__(self, me: str) -> None:
        self.me = me
        self.changes = Changes()
        self.conversations = Conversations()
        # Per user id, the newest.
        self.presence: dict[str, gateway.PresenceChanged] = {}
        # Per (conversation, user), the newest.
        self.typing: dict[tuple[str, str], bool] = {}
        # Per conversation, how this user keeps it.
        self.own_states: dict[str, messaging.OwnState] = {}
        # Grows with every own state that the stream tells, and is kept by conversation.
        self.moment = 0
        self._told_at: dict[str, int] = {}
        # Per call id, the highest version.
        self.calls: dict[str, calls.Call] = {}
        # Per call id, this user's own place in its lobby, the highest version.
        self.places: dict[str, calls.LobbyPlace] = {}
        # Scheduled calls that were told, by their ids, the highest version.
        self.scheduled_calls: dict[str, scheduled.ScheduledCall] = {}
        # Sealed frame keys by call and sender: what others encrypt with, and this client cannot open.
        self.call_keys: dict[tuple[str, str], keys.CallKey] = {}
        # When the stream, not Sync, first brought a message, by (conversation, seq), and a call in a state.
        self.message_arrived_s: dict[tuple[str, int], float] = {}
        self.call_arrived_s: dict[tuple[str, calls.CallState.ValueType], float] = {}
        # Conversations that a live event began. Their messages may have come before it, and before an older event that
        # one had left: Sync must be asked for each by name. And those whose messages somebody wants to have.
        self.begun: dict[str, None] = {}
        # Conversations whose messages, or whose own state, may have changed since somebody took them out: incoming.py.
        self.touched: dict[str, None] = {}
        # How often the stream told the device to sync, and why.
        self.resyncs: list[gateway.ResyncReason.ValueType] = []
        # Streams that began afresh, and streams that went on where one broke.
        self.readies = 0
        self.resumes = 0

    def apply(self, event: gateway.DeviceEvent, now_s: float) -> bool:
        """Takes one event of the stream. True when the device must call Sync now."""
        kind = event.WhichOneof("event")
        must_sync = False
        if kind == "ready" and event.ready.resumed:
            # What is missing follows by itself.
            self.resumes += 1
        elif kind == "ready":
            self.readies += 1
            must_sync = True
        elif kind == "resync":
            self.resyncs.append(event.resync.reason)
            must_sync = True
        elif kind == "message":
            must_sync = self._take_message(event.message, now_s)
        elif kind == "conversation":
            must_sync = self._take_conversation(event.conversation)
        elif kind == "call":
            self.take_call(event.call, now_s)
        elif kind is not None:
            must_sync = self._take_other(kind, event)
        self.changes.notify()
        return must_sync

    def take_message(self, message: messaging.Message) -> bool:
        """Takes a message, new or changed, which an answer brought. True when the device must call Sync now."""
        must_sync = self.conversations.add(to_entry(message)) is Arrival.GAP
        self.touched[message.conversation_id] = None
        self.changes.notify()
        return must_sync

    def apply_delta(
        self, delta: messaging.ConversationDelta, *, is_named: bool, asked: int | None = None
    ) -> bool | None:
        """Takes what Sync says of one conversation. False when the answer was not gapless.

        `is_named`: it was made for a cursor of this device. Of one that was not, and leaves a gap behind what the
        device has, only own state and cursors are taken: None. None as well when its messages must be read anew.
        `asked`: the `moment` of the request. The own state may be of before one that came since, and is left then.
        """
        conversation_id = delta.conversation.conversation_id
        is_older = self._is_told_since(conversation_id, asked)
        if is_older and self.own_states[conversation_id].request == messaging.REQUEST_STATE_DECLINED:
            return True
        own_state = self.own_states[conversation_id] if is_older else delta.own_state
        told = Delta(
            info=to_info(delta.conversation, self.me),
            entries=tuple(to_entry(message) for message in delta.messages),
            changed=tuple(to_entry(message) for message in delta.changed_messages),
            revision=delta.cursor.revision,
            last_seq=delta.conversation.last_seq,
        )
        # What is held of one that was let in meanwhile is other than what Sync tells of it now.
        is_let_in = self._let_in(conversation_id, own_state)
        is_taken = not is_let_in and (is_named or self.conversations.is_continued_by(told))
        gapless = self.conversations.add_delta(told) if is_taken else None
        self._take_own_state(conversation_id, own_state)
        self._take_cursors(delta.conversation)
        self.changes.notify()
        return gapless

    def take_summary(self, summary: service.ConversationSummary, *, is_first: bool, asked: int | None = None) -> None:
        """Takes a line of the list. `is_first`: Sync comes after it; else of what is known it would be old news.
        `asked` as for `apply_delta`: of what was told since, nothing is taken."""
        if self._is_told_since(summary.conversation.conversation_id, asked):
            return
        is_new = self.conversations.add_info(to_info(summary.conversation, self.me))
        if is_new or is_first:
            self._let_in(summary.conversation.conversation_id, summary.own_state)
            self._take_own_state(summary.conversation.conversation_id, summary.own_state)
            self._take_cursors(summary.conversation)
            self.changes.notify()

    def take_call(self, call: calls.Call, now_s: float) -> None:
        """Takes a copy of a call; of two, the higher version is newer."""
        self.call_arrived_s.setdefault((call.call_id, call.state), now_s)
        known = self.calls.get(call.call_id)
        if known is None or call.version > known.version:
            self.calls[call.call_id] = call
        self.changes.notify()

    def take_place(self, place: calls.LobbyPlace) -> None:
        """Takes a copy of a place in a lobby; of two, the higher version is newer."""
        known = self.places.get(place.call_id)
        if known is None or place.version > known.version:
            self.places[place.call_id] = place
        self.changes.notify()

    def running_calls(self) -> set[str]:
        """Those that have not ended, as far as was told."""
        return {call_id for call_id, call in self.calls.items() if call.state != calls.CALL_STATE_ENDED}

    def is_online(self, user_id: str) -> bool:
        """Whether the last word on a watched user was online."""
        return user_id in self.presence and self.presence[user_id].state == ONLINE

    def _take_message(self, message: messaging.Message, now_s: float) -> bool:
        self.message_arrived_s.setdefault((message.conversation_id, message.seq), now_s)
        return self.take_message(message)

    def _take_conversation(self, conversation: messaging.Conversation) -> bool:
        is_new = conversation.conversation_id not in self.conversations
        arrival = self.conversations.take_info(to_info(conversation, self.me), self.me)
        if conversation.conversation_id not in self.conversations:
            return False
        self._take_cursors(conversation)
        if is_new:
            # Its own state, too, which tells whether it waits in Requests, only Sync brings.
            self.begun[conversation.conversation_id] = None
        return arrival is Arrival.GAP or is_new

    def _take_cursors(self, conversation: messaging.Conversation) -> None:
        history = self.conversations.history(conversation.conversation_id)
        for member in conversation.members:
            history.move_cursors(member.user_id, member.read_seq, member.delivered_seq)
            if member.user_id == self.me:
                # One's own is never below what the others know.
                history.move_own_read(member.read_seq)

    def _take_own_state(self, conversation_id: str, state: messaging.OwnState) -> None:
        self.own_states[conversation_id] = state
        self.touched[conversation_id] = None
        # Of an unknown conversation, Sync tells it.
        self.conversations.history(conversation_id).move_own_read(state.read_seq)

    def _is_told_since(self, conversation_id: str, asked: int | None) -> bool:
        return asked is not None and self._told_at.get(conversation_id, 0) > asked

    def _let_in(self, conversation_id: str, state: messaging.OwnState) -> bool:
        """Forgets messages that may have come while a conversation waited in Requests, if that is over. True then."""
        known = self.own_states.get(conversation_id)
        # Whether a new conversation waits is not known before its own state is.
        waited = known is None or known.request != messaging.REQUEST_STATE_UNSPECIFIED
        history = self.conversations.history(conversation_id)
        # Of an unknown conversation, Sync brings all.
        has_messages = history.info is not None and bool(history.shown)
        is_over = waited and has_messages and state.request == messaging.REQUEST_STATE_UNSPECIFIED
        if is_over:
            history.read_anew()
        return is_over

    def _take_other(self, kind: str, event: gateway.DeviceEvent) -> bool:
        if kind == "read":
            # Of an unknown conversation, Sync tells it.
            read = event.read
            self.conversations.history(read.conversation_id).move_cursors(
                read.user_id, read.read_seq, read.delivered_seq
            )
        elif kind == "own_state":
            conversation_id, state = event.own_state.conversation_id, event.own_state.own_state
            self.moment += 1
            self._told_at[conversation_id] = self.moment
            must_sync = self._let_in(conversation_id, state)
            self._take_own_state(conversation_id, state)
            if state.request == messaging.REQUEST_STATE_DECLINED:
                self.conversations.forget(conversation_id)
            return must_sync
        if kind == "typing":
            self.typing[event.typing.conversation_id, event.typing.user_id] = event.typing.typing
        elif kind == "call_key":
            self.call_keys[event.call_key.call_id, event.call_key.sender_user_id] = event.call_key
        elif kind == "lobby_place":
            self.take_place(event.lobby_place)
        elif kind == "scheduled_call":
            told = event.scheduled_call.scheduled_call
            known = self.scheduled_calls.get(told.scheduled_call_id)
            if known is None or told.version > known.version:
                self.scheduled_calls[told.scheduled_call_id] = told
        elif kind == "presence":
            self.presence[event.presence.user_id] = event.presence
        return False
