"""The use-cases of messaging that most tests need, over one store."""

from typing import Protocol

from services.messaging.conversations.ports import ConversationStore
from services.messaging.conversations.service import ConversationLimits, Conversations
from services.messaging.groups.ports import GroupStore
from services.messaging.hooks.service.judging import Judging
from services.messaging.messages.ports import MessageStore, Uploads
from services.messaging.messages.service.changing import Changing
from services.messaging.messages.service.group_commit import GroupCommit
from services.messaging.messages.service.history import History
from services.messaging.messages.service.rates import SendRates
from services.messaging.messages.service.requests import MessageLimits
from services.messaging.messages.service.sending import Sending
from services.messaging.relations import ports
from services.messaging.relations.ports import ContactReader, RequestStore
from services.messaging.search.ports import SearchStore
from services.messaging.search.service import Search
from services.messaging.sync.ports import SyncStore
from services.messaging.sync.service import Sync
from services.runtime.clock import Clock
from services.runtime.ids import NewId


class Store(ConversationStore, ContactReader, MessageStore, SyncStore, SearchStore, GroupStore, Protocol):
    """One store for all features, as the tests have it."""


class RelationStore(ports.RelationStore, RequestStore, Protocol):
    """Relations, and letting conversations in."""


class Cases:
    """Conversations, messages, Sync and the search."""

    def __init__(
        self,
        store: Store,
        sends: GroupCommit,
        rates: SendRates,
        clock: Clock,
        new_id: NewId,
        limits: MessageLimits | None = None,
        uploads: Uploads | None = None,
        conversation_limits: ConversationLimits | None = None,
        judging: Judging | None = None,
    ) -> None:
        self.conversations = Conversations(store, clock, new_id, conversation_limits or ConversationLimits())
        limits = limits or MessageLimits()
        self.sending = Sending(store, store, sends, rates, clock, new_id, limits, uploads, judging)
        self.changing = Changing(store, store, rates, clock, limits, judging)
        self.history = History(store, store, clock)
        self.sync = Sync(store, clock)
        self.search = Search(store, store, clock)
