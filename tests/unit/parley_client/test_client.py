"""The token source: renewed in time, once, and after a refusal."""

from __future__ import annotations

import asyncio

from parley_client.client import AccessToken, TokenSource


class Issuer:
    """Counts logins; tokens live 100 s of the manual clock."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.logins = 0

    async def login(self, user_id: str) -> AccessToken:
        self.logins += 1
        await asyncio.sleep(0)
        return AccessToken(f"{user_id}-{self.logins}", self.now_s + 100)

    def source(self) -> TokenSource:
        return TokenSource("alice", self.login, clock=lambda: self.now_s)


async def test_a_token_is_kept_while_it_is_good() -> None:
    issuer = Issuer()
    source = issuer.source()
    assert await source.token() == "alice-1"
    issuer.now_s += 69
    assert await source.token() == "alice-1"


async def test_a_token_is_renewed_before_it_expires() -> None:
    issuer = Issuer()
    source = issuer.source()
    await source.token()
    issuer.now_s += 71
    assert await source.token() == "alice-2"


async def test_callers_at_the_same_time_share_one_login() -> None:
    issuer = Issuer()
    source = issuer.source()
    assert set(await asyncio.gather(*(source.token() for _ in range(5)))) == {"alice-1"}
    assert issuer.logins == 1


async def test_a_forgotten_token_is_replaced() -> None:
    source = Issuer().source()
    await source.token()
    source.forget()
    assert await source.token() == "alice-2"
