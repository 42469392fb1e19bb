"""Keys in memory; the same contract suite runs against this and the real store."""

from collections.abc import Sequence
from uuid import uuid4

from services.signaling.core.model import CallId, DeviceId, UserId
from services.signaling.keys.core import Account, CallKey
from services.signaling.keys.ports import Change
from services.signaling.keys.service import DeviceKeys
from services.signaling.ports import Record
from services.signaling.publisher import KeyEvents
from tests.unit.signaling.fakes import World


class FakeKeys:
    """See keys.ports.KeyStore. Of the end of calls it hears nothing."""

    def __init__(self) -> None:
        self.accounts: dict[UserId, Account] = {}
        self.sealed: dict[tuple[CallId, UserId, UserId], CallKey] = {}
        self.records: list[Record] = []

    async def change(self, user_id: UserId, change: Change, records: Sequence[Record]) -> Account | None:
        before = self.accounts.get(user_id)
        after = change(before)
        if after is not None and after != before:
            self.accounts[user_id] = after
            self.records += records
        return after

    async def list_accounts(self, user_ids: Sequence[UserId]) -> Sequence[Account]:
        return [self.accounts[user_id] for user_id in sorted(set(user_ids)) if user_id in self.accounts]

    async def pass_on(self, keys: Sequence[tuple[CallKey, Record]]) -> None:
        for key, record in keys:
            place = (key.call_id, key.sender_id, key.key.user_id)
            known = self.sealed.get(place)
            if known and _devices(known) == _devices(key) and known.epoch >= key.epoch:
                continue
            self.sealed[place] = key
            self.records.append(record)

    async def list_call_keys(self, call_id: CallId, user_id: UserId, device_id: DeviceId) -> Sequence[CallKey]:
        found = [key for place, key in sorted(self.sealed.items()) if place[0] == call_id]
        return [key for key in found if (key.key.user_id, key.key.device_id) == (user_id, device_id)]


def _devices(key: CallKey) -> tuple[DeviceId, DeviceId]:
    return key.sender_device_id, key.key.device_id


def make_keys(world: World, store: FakeKeys) -> DeviceKeys:
    """The use-cases beside those of calls."""
    events = KeyEvents(lambda _: uuid4())
    return DeviceKeys(store, world.store, world.members, world.clock, events.call_key, events.keys_changed)
