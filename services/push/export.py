"""What push keeps of a person: what the person chose, and which devices are told. What stands on them is a copy of
messages."""

from services.push.core.model import UserId
from services.push.ports import Accounts
from services.runtime.grpc.account_data import AccountPage, ReadPage


def pages(accounts: Accounts) -> ReadPage:
    """The one page there is."""

    async def read(user_id: str, _token: str) -> AccountPage:
        return AccountPage(await accounts.rows_of(UserId(user_id)))

    return read
