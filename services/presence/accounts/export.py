"""What presence keeps of a person: one row."""

from services.presence.core.model import UserId
from services.presence.ports import StateStore
from services.runtime.grpc.account_data import AccountPage, ReadPage


def pages(store: StateStore) -> ReadPage:
    """The one page there is."""

    async def read(user_id: str, _token: str) -> AccountPage:
        row = await store.read(UserId(user_id))
        return AccountPage([("presence", row)] if row else [])

    return read
