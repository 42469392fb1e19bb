"""The development issuer, over HTTP as clients see it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp.test_utils import TestClient, TestServer

from deploy.embedded.issuer import AUDIENCE, ISSUER, make_app
from deploy.embedded.keys import KeyRing

Client = TestClient[Any, Any]


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with TestClient(TestServer(make_app(KeyRing(tmp_path / "keys.json")))) as client:
        yield client


async def log_in(client: Client, user_id: str = "alice") -> str:
    answer = await client.post("/dev/login", json={"user_id": user_id})
    token: str = (await answer.json())["token"]
    return token


async def verify(client: Client, token: str) -> dict[str, Any]:
    jwks = jwt.PyJWKSet.from_dict(await (await client.get("/.well-known/jwks.json")).json())
    key = jwks[jwt.get_unverified_header(token)["kid"]]
    return jwt.decode(token, key.key, algorithms=["EdDSA"], audience=AUDIENCE, issuer=ISSUER)


async def test_token_verifies_against_the_published_keys(client: Client) -> None:
    claims = await verify(client, await log_in(client))
    assert claims["sub"] == "alice"
    assert claims["exp"] - claims["iat"] == 3600


async def test_answer_says_who_and_until_when(client: Client) -> None:
    answer = await (await client.post("/dev/login", json={"user_id": "bob"})).json()
    assert answer["user_id"] == "bob"
    assert answer["expires_at"].endswith("+00:00")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"alice",
        b"[]",
        b"{}",
        b'{"user_id": 7}',
        b'{"user_id": ""}',
        b'{"user_id": "a b"}',
        b'{"user_id": "alice\\n"}',
        b'{"user_id": "' + b"a" * 65 + b'"}',
        b'{"user_id": "alice", "ttl_s": "long"}',
        b'{"user_id": "alice", "ttl_s": true}',
        b'{"user_id": "alice", "ttl_s": 1e99}',
        b'{"user_id": "alice", "ttl_s": 999999999}',
        b"\xff\xfe",
        b"[" * 3000,
    ],
)
async def test_malformed_login_gets_a_readable_refusal(client: Client, body: bytes) -> None:
    answer = await client.post("/dev/login", data=body)
    assert answer.status == 400
    assert (await answer.json())["error"].endswith(".")


async def test_huge_login_is_refused(client: Client) -> None:
    answer = await client.post("/dev/login", data=b"x" * 100_000)
    assert answer.status == 413


async def test_token_with_a_negative_life_has_expired(client: Client) -> None:
    answer = await client.post("/dev/login", json={"user_id": "alice", "ttl_s": -60})
    with pytest.raises(jwt.ExpiredSignatureError):
        await verify(client, (await answer.json())["token"])


async def test_tokens_of_the_key_before_stay_good_after_a_rotation(client: Client) -> None:
    before = await log_in(client)
    await client.post("/dev/rotate")
    after = await log_in(client)
    assert jwt.get_unverified_header(before)["kid"] != jwt.get_unverified_header(after)["kid"]
    assert (await verify(client, before))["sub"] == "alice"
    assert (await verify(client, after))["sub"] == "alice"


async def test_two_test_users_are_offered(client: Client) -> None:
    users = (await (await client.get("/dev/users")).json())["users"]
    assert {"alice", "bob"} <= {user["user_id"] for user in users}
    assert all(user["name"] for user in users)


def test_keys_outlive_a_restart_and_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "issuer" / "keys.json"
    first = KeyRing(path)
    assert KeyRing(path).jwks() == first.jwks()
    assert path.stat().st_mode & 0o777 == 0o600
