"""Devices publish their keys, ask for others', and hand sealed keys to those in their call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from services.runtime.clock import Clock
from services.signaling.core.errors import CallNotFound
from services.signaling.core.model import CallId, ConversationId, DeviceId, UserId
from services.signaling.keys import core
from services.signaling.keys.core import Account, CallKey, Device, IsRevoked, SealedKey
from services.signaling.keys.ports import KeyStore
from services.signaling.ports import Members, Record, Store

CallKeyRecord = Callable[[CallKey, datetime], Record]
KeysChangedRecord = Callable[[UserId, datetime], Record]


@dataclass(frozen=True)
class DeviceKeys:
    """The use-cases. Every method may raise StoreUnavailable."""

    store: KeyStore
    calls: Store
    members: Members
    clock: Clock
    call_key_record: CallKeyRecord
    keys_changed_record: KeysChangedRecord

    async def publish(self, user_id: UserId, version: int, account_key: bytes, device: Device) -> Account:
        """See core.publish. Idempotent. Raises AccountKeyOutdated, KeyDeviceLimit."""

        def change(before: Account | None) -> Account:
            return core.publish(before, user_id, version, account_key, device)

        return await self._change(user_id, change)

    async def confirm(self, user_id: UserId, version: int, device: Device) -> Account:
        """See core.confirm. Idempotent. Raises AccountKeyOutdated, DeviceKeysNotFound."""
        return await self._change(user_id, partial(core.confirm, version=version, device=device))

    async def remove(self, user_id: UserId, device_ids: Sequence[DeviceId]) -> None:
        """Forget devices' keys. Idempotent."""
        records = [self.keys_changed_record(user_id, self.clock.now())]
        await self.store.change(user_id, lambda before: before and core.remove(before, device_ids), records)

    async def remove_revoked(self, user_id: UserId, is_revoked: IsRevoked) -> None:
        """See accounts.ports.PublishedKeys."""
        records = [self.keys_changed_record(user_id, self.clock.now())]
        await self.store.change(user_id, partial(core.remove_revoked, is_revoked=is_revoked), records)

    async def of_call(self, user_id: UserId, call_id: CallId, user_ids: Sequence[UserId]) -> Sequence[Account]:
        """The keys of people who are part of a call with the user. Raises CallNotFound."""
        call = await self.calls.find(call_id)
        if call is None or call.leg_of(user_id) is None:
            raise CallNotFound
        return await self._told(user_id, user_ids, call.told_to(user_id).user_ids)

    async def of_conversation(
        self, user_id: UserId, conversation_id: ConversationId, user_ids: Sequence[UserId]
    ) -> Sequence[Account]:
        """The keys of people in a conversation with the user, who may learn of each other there.

        Raises ConversationNotFound, MembersUnavailable.
        """
        return await self._told(user_id, user_ids, await self.members.audience_of(conversation_id, user_id))

    async def of_own(self, user_id: UserId, user_ids: Sequence[UserId]) -> Sequence[Account]:
        """The user's own, if they are asked for."""
        return await self._told(user_id, user_ids, ())

    async def send(
        self, user_id: UserId, device_id: DeviceId, call_id: CallId, epoch: int, keys: Sequence[SealedKey]
    ) -> None:
        """Hand keys to devices in the call. Idempotent. Raises CallNotFound, CallEnded, NotInCall."""
        passed = core.keys_to_pass_on(await self.calls.find(call_id), user_id, device_id, epoch, keys)
        now = self.clock.now()
        await self.store.pass_on([(key, self.call_key_record(key, now)) for key in passed])

    async def list_for(self, user_id: UserId, device_id: DeviceId, call_id: CallId) -> Sequence[CallKey]:
        """The last key of each device in the call for this one. Raises CallNotFound, CallEnded, NotInCall."""
        stored = await self.store.list_call_keys(call_id, user_id, device_id)
        return core.keys_for(await self.calls.find(call_id), user_id, device_id, stored)

    async def _change(self, user_id: UserId, change: Callable[[Account | None], Account]) -> Account:
        records = [self.keys_changed_record(user_id, self.clock.now())]
        after = await self.store.change(user_id, change, records)
        assert after is not None
        return after.told_to(user_id)

    async def _told(
        self, user_id: UserId, asked: Sequence[UserId], shared: Sequence[UserId] | frozenset[UserId]
    ) -> Sequence[Account]:
        allowed = {user_id, *shared}
        found = await self.store.list_accounts([each for each in asked if each in allowed])
        return [account.told_to(user_id) for account in found]
