"""MessagingService over gRPC: the methods of the features as one servicer, and the errors that they share."""

import grpc
from parley.messaging.v1 import service_pb2_grpc

from services.messaging.accounts import rpc as accounts
from services.messaging.attachments import rpc as attachments
from services.messaging.conversations.rpc import ConversationsRpcs
from services.messaging.conversations.service import Conversations
from services.messaging.drafts import rpc as drafts
from services.messaging.drafts.service import Drafts
from services.messaging.forwarding import rpc as forwarding
from services.messaging.forwarding.service import Forwarding
from services.messaging.groups import rpc as groups
from services.messaging.groups.service import Groups
from services.messaging.hooks import rpc as hooks
from services.messaging.hooks.service.withdrawing import Withdrawals
from services.messaging.kernel import errors
from services.messaging.messages import rpc as messages
from services.messaging.messages.service.changing import Changing
from services.messaging.messages.service.history import History
from services.messaging.messages.service.sending import Sending
from services.messaging.pins import rpc as pins
from services.messaging.pins.service import Pins
from services.messaging.receipts.rpc import ReceiptsRpcs
from services.messaging.receipts.service import Receipts
from services.messaging.relations import rpc as relations
from services.messaging.scheduling import rpc as scheduling
from services.messaging.search.rpc import SearchRpcs
from services.messaging.search.service import Search
from services.messaging.sync import rpc as sync
from services.messaging.sync.service import Sync
from services.messaging.vanishing.rpc import VanishingRpcs
from services.messaging.vanishing.service import Vanishing
from services.runtime.errors import ErrorTable, Refusal
from services.runtime.grpc.guard import Access
from services.runtime.grpc.server import Api

_CODE = grpc.StatusCode

# Of one feature alone: in its rpc.py.
ERRORS: ErrorTable = {
    errors.InvalidField: Refusal(_CODE.INVALID_ARGUMENT, "FIELD_INVALID"),
    errors.ConversationNotFound: Refusal(_CODE.NOT_FOUND, "CONVERSATION_NOT_FOUND"),
    errors.AccountRestricted: Refusal(_CODE.PERMISSION_DENIED, "ACCOUNT_RESTRICTED"),
    errors.ConversationFrozen: Refusal(_CODE.FAILED_PRECONDITION, "CONVERSATION_FROZEN"),
    errors.NotAllowed: Refusal(_CODE.PERMISSION_DENIED, "NOT_ALLOWED"),
    errors.RequestPending: Refusal(_CODE.FAILED_PRECONDITION, "REQUEST_PENDING"),
    errors.RequestPendingLimit: Refusal(_CODE.FAILED_PRECONDITION, "REQUEST_PENDING_LIMIT"),
    **messages.ERRORS,
    **sync.ERRORS,
    **groups.ERRORS,
    **relations.ERRORS,
    **attachments.ERRORS,
    **accounts.ERRORS,
    **hooks.ERRORS,
    **pins.ERRORS,
    **forwarding.ERRORS,
    **scheduling.ERRORS,
    **drafts.ERRORS,
}


class MessagingServicer(
    ConversationsRpcs,
    messages.MessagesRpcs,
    sync.SyncRpcs,
    SearchRpcs,
    groups.GroupsRpcs,
    ReceiptsRpcs,
    VanishingRpcs,
    pins.PinsRpcs,
    forwarding.ForwardingRpcs,
    hooks.HooksRpcs,
    drafts.DraftsRpcs,
):
    """Every method is a feature's."""

    def __init__(
        self,
        conversations: Conversations,
        sending: Sending,
        changing: Changing,
        history: History,
        sync: Sync,
        search: Search,
        groups: Groups,
        receipts: Receipts,
        vanishing: Vanishing,
        pins: Pins,
        forwarding: Forwarding,
        withdrawals: Withdrawals,
        drafts: Drafts,
    ) -> None:
        self._conversations = conversations
        self._sending = sending
        self._changing = changing
        self._history = history
        self._sync = sync
        self._search = search
        self._groups = groups
        self._receipts = receipts
        self._vanishing = vanishing
        self._pins = pins
        self._forwarding = forwarding
        self._withdrawals = withdrawals
        self._drafts = drafts
        self._refusals = ERRORS


def api(servicer: MessagingServicer) -> Api:
    """The service of messages; the other services are the features'."""
    return Api(
        "parley.messaging.v1.MessagingService",
        Access.USER,
        lambda server: service_pb2_grpc.add_MessagingServiceServicer_to_server(servicer, server),
    )
