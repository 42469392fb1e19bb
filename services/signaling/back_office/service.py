"""What servers do with calls, as use-cases: mostly what an account could do by itself, by the code that does it for
users."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.runtime.identity.accounts import Accounts
from services.runtime.identity.server_keys import Server
from services.signaling.changes import CallChanges
from services.signaling.core.errors import CallNotFound, ConversationNotFound, NotAdmin
from services.signaling.core.inputs import EndByNetwork
from services.signaling.core.model import Call, CallId, CallState, ConversationId, LinkId, UserId
from services.signaling.links.core import JoinLink
from services.signaling.links.service import JoinLinks
from services.signaling.ports import Members, Store
from services.signaling.roster import Roster
from services.signaling.starting import CallStarter, StartRequest


@dataclass(frozen=True)
class BackOffice:
    """`server` is always the authenticated caller, `as_user` the account as whom it acts; None for none.

    Errors of each beside those named: AccountDeleted, StoreUnavailable, MembersUnavailable, and runtime's
    CallerNotAllowed.
    """

    store: Store
    changes: CallChanges
    starter: CallStarter
    roster: Roster
    members: Members
    links: JoinLinks
    accounts: Accounts

    async def start_call(self, server: Server, request: StartRequest) -> Call:
        """Ring a group as the caller of the request, which names no device. Idempotent by the client's id.

        Raises ConversationNotFound, NotGroupCall, CallNotAllowed, CallRate, NoMediaWorker, Contended.
        """
        self.account(server, request.caller_id)
        call = await self.store.find_by_key(request.key) or await self.starter.start(request)
        return call.seen_by(request.caller_id)

    async def end_call(self, server: Server, as_user: UserId | None, call_id: CallId) -> Call:
        """End a call for all. Idempotent. Raises CallNotFound, NotAdmin, Contended."""
        if as_user is None:
            server.require_every_account()
            return await self.changes.apply(call_id, EndByNetwork())
        account = self.account(server, as_user)
        call = await self.store.find(call_id)
        if call is None or call.leg_of(account) is None:
            raise CallNotFound
        if call.state is not CallState.ENDED and not await self._may_end(call, account):
            raise NotAdmin
        return (await self.changes.apply(call_id, EndByNetwork())).seen_by(account)

    async def list_calls(
        self, server: Server, as_user: UserId | None, conversation_id: ConversationId
    ) -> Sequence[Call]:
        """The calls that ring or run there, as the account sees them. Raises ConversationNotFound."""
        account = self.account(server, as_user) if as_user else None
        if account is None:
            server.require_every_account()
        members = await self.members.members_of(conversation_id)
        if account and account not in members.user_ids:
            raise ConversationNotFound
        calls = await self.store.list_running_in(conversation_id)
        return [call.seen_by(account) for call in calls if call.leg_of(account)] if account else calls

    async def create_link(
        self, server: Server, as_user: UserId, call_id: CallId, ttl_s: int, request_id: str
    ) -> tuple[JoinLink, str]:
        """Errors and idempotency as JoinLinks.create_link has them."""
        return await self.links.create_link(call_id, self.account(server, as_user), ttl_s, request_id)

    async def list_links(self, server: Server, as_user: UserId, call_id: CallId) -> Sequence[JoinLink]:
        """Errors as JoinLinks.list_links has them."""
        return await self.links.list_links(call_id, self.account(server, as_user))

    async def revoke_link(self, server: Server, as_user: UserId, link_id: LinkId) -> JoinLink:
        """Errors and idempotency as JoinLinks.revoke_link has them."""
        return await self.links.revoke_link(link_id, self.account(server, as_user))

    def account(self, server: Server, as_user: UserId) -> UserId:
        """As whom it acts. Raises CallerNotAllowed, AccountDeleted."""
        server.require_account(as_user)
        self.accounts.require_not_deleted(as_user)
        return as_user

    async def _may_end(self, call: Call, account: UserId) -> bool:
        return not call.group or account == call.caller_id or account in await self.roster.admins_of(call)
