"""The contract of an object store, held by the one in memory and by the production adapter on the embedded server;
and what the embedded server refuses, asked as any client asks."""

from collections.abc import AsyncIterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from services.messaging.attachments.clients import S3Objects
from services.messaging.attachments.core.file_types import HEAD_BYTES
from services.messaging.attachments.ports import ObjectStore
from services.messaging.config import ObjectsConfig
from services.messaging.kernel.errors import ObjectsUnavailable
from services.runtime.clock import SystemClock
from tests.support.attachments import OBJECTS_KEY, MemoryObjects, object_server, s3_objects
from tests.support.clock import ManualClock

TTL = timedelta(minutes=5)


@pytest.fixture(params=["memory", "server"])
async def objects(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ObjectStore]:
    if request.param == "memory":
        yield MemoryObjects()
        return
    async with object_server(tmp_path) as served:
        yield served


async def test_the_digest_is_of_all_of_an_object(objects: ObjectStore) -> None:
    data = bytes(range(256)) * 4096
    await objects.put("uploads/large", data, "text/plain")
    assert await objects.digest_of("uploads/large", TTL) == sha256(data).digest()
    with pytest.raises(ObjectsUnavailable):
        await objects.digest_of("uploads/none", TTL)


class Late:
    """The server's clock, which can be ahead."""

    def __init__(self) -> None:
        self.by = timedelta(0)


@pytest.fixture
def late() -> Late:
    return Late()


@pytest.fixture
async def served(tmp_path: Path, late: Late) -> AsyncIterator[S3Objects]:
    async with object_server(tmp_path, lambda: SystemClock().now() + late.by) as objects:
        yield objects


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def ask(
    http: aiohttp.ClientSession, method: str, url: str, headers: dict[str, str] | None = None, data: bytes | None = None
) -> int:
    async with http.request(method, URL(url, encoded=True), headers=headers, data=data) as response:
        return response.status


async def test_what_is_put_is_there_until_it_is_deleted(objects: ObjectStore) -> None:
    assert await objects.size_of("uploads/one") is None
    await objects.put("uploads/one", b"hello", "text/plain")
    await objects.put("uploads/one", b"hello again", "text/plain")
    assert await objects.size_of("uploads/one") == 11
    await objects.delete("uploads/one")
    await objects.delete("uploads/one")
    assert await objects.size_of("uploads/one") is None
    assert await objects.ready()


async def test_an_object_is_looked_at_by_its_size_its_tag_and_its_beginning(objects: ObjectStore) -> None:
    assert await objects.look_at("uploads/one") is None
    for data in (b"hello", b"x" * HEAD_BYTES, b"y" * (HEAD_BYTES + 1)):
        await objects.put("uploads/one", data, "text/plain")
        seen = await objects.look_at("uploads/one")
        assert seen is not None
        assert (seen.size_bytes, seen.head) == (len(data), data[:HEAD_BYTES])
        assert seen.etag
        assert seen == await objects.look_at("uploads/one")
    await objects.put("uploads/one", b"z" * (HEAD_BYTES + 1), "text/plain")
    again = await objects.look_at("uploads/one")
    assert again is not None
    assert again.etag != seen.etag


async def test_what_was_looked_at_cannot_be_put_anew_by_whoever_has_the_address(
    served: S3Objects, http: aiohttp.ClientSession
) -> None:
    put = served.sign_put("uploads/a", "image/png", 5, TTL)
    assert await ask(http, "PUT", put.url, dict(put.headers), b"12345") == 200
    seen = await served.look_at("uploads/a")
    again = served.sign_put("uploads/a", "image/png", 5, TTL)
    for address in (put, again):
        assert await ask(http, "PUT", address.url, dict(address.headers), b"54321") == 412
        assert await ask(http, "PUT", address.url, {"content-type": "image/png"}, b"54321") == 403
        assert await ask(http, "DELETE", address.url) == 403
    assert await served.look_at("uploads/a") == seen


async def test_a_store_that_lets_objects_be_put_anew_is_not_trusted() -> None:
    async def take_all(request: web.Request) -> web.Response:
        return web.Response(status=200, text="x")

    app = web.Application()
    app.router.add_route("*", "/{key:.+}", take_all)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    objects = s3_objects(f"http://127.0.0.1:{runner.addresses[0][1]}", OBJECTS_KEY)
    try:
        with pytest.raises(ObjectsUnavailable, match="If-None-Match"):
            await objects.look_at("uploads/a")
    finally:
        await objects.stop()
        await runner.cleanup()


async def test_the_address_for_a_scanner_reads_and_does_nothing_else(
    served: S3Objects, http: aiohttp.ClientSession
) -> None:
    await served.put("uploads/a", b"12345", "image/png")
    url = served.sign_read("uploads/a", TTL)
    assert await ask(http, "GET", url) == 200
    assert [await ask(http, method, url) for method in ("PUT", "DELETE")] == [403, 403]


async def test_a_signed_address_takes_the_bytes_once_and_gives_them_back(
    served: S3Objects, http: aiohttp.ClientSession
) -> None:
    put = served.sign_put("uploads/a", "image/png", 5, TTL)
    assert await ask(http, "PUT", put.url, dict(put.headers), b"12345") == 200
    assert await ask(http, "PUT", put.url, dict(put.headers), b"54321") == 412
    name = "attachment; filename=\"a_.png\"; filename*=UTF-8''a%C3%A9.png"
    url = served.sign_get("uploads/a", TTL, content_type="image/png", disposition=name)
    async with http.get(URL(url, encoded=True), headers={"Range": "bytes=1-2"}) as response:
        assert (response.status, await response.read()) == (206, b"23")
    async with http.get(URL(url, encoded=True)) as response:
        assert (response.status, await response.read()) == (200, b"12345")
        assert response.headers["Content-Type"] == "image/png"
        assert response.headers["Content-Disposition"] == name


@pytest.mark.parametrize(
    ("headers", "data"),
    [
        ({"content-type": "image/png", "if-none-match": "*"}, b"123456"),
        ({"content-type": "image/png", "if-none-match": "*"}, b"1234"),
        ({"content-type": "text/html", "if-none-match": "*"}, b"12345"),
        ({"content-type": "image/png"}, b"12345"),
        ({"if-none-match": "*"}, b"12345"),
    ],
)
async def test_another_size_or_type_than_was_signed_is_refused(
    served: S3Objects, http: aiohttp.ClientSession, headers: dict[str, str], data: bytes
) -> None:
    put = served.sign_put("uploads/a", "image/png", 5, TTL)
    assert await ask(http, "PUT", put.url, headers, data) == 403
    assert await served.size_of("uploads/a") is None


async def test_bytes_that_never_come_to_an_end_leave_nothing(served: S3Objects, http: aiohttp.ClientSession) -> None:
    put = served.sign_put("uploads/a", "image/png", 5, TTL)

    async def chunks() -> AsyncIterator[bytes]:
        yield b"12345"

    # Without a length, in chunks: the signed header is not there.
    async with http.put(URL(put.url, encoded=True), headers=put.headers, data=chunks()) as response:
        assert response.status == 403
    assert await served.size_of("uploads/a") is None


async def test_an_address_is_good_for_its_method_its_object_and_its_time_only(
    served: S3Objects, http: aiohttp.ClientSession, late: Late
) -> None:
    await served.put("uploads/a", b"12345", "image/png")
    await served.put("uploads/b", b"54321", "image/png")
    url = served.sign_get("uploads/a", TTL, content_type="image/png", disposition="inline")
    assert await ask(http, "GET", url) == 200
    for method in ("PUT", "DELETE", "HEAD", "POST"):
        assert await ask(http, method, url) == 403
    assert await ask(http, "GET", url.replace("uploads/a", "uploads/b")) == 403
    assert await ask(http, "GET", url.replace("=inline", "=attachment")) == 403
    assert await ask(http, "GET", url[:-1] + ("0" if url[-1] != "0" else "1")) == 403
    assert await ask(http, "GET", url.partition("?")[0]) == 403
    late.by = TTL + timedelta(seconds=2)
    assert await ask(http, "GET", url) == 403


async def test_what_is_signed_is_of_the_time_that_is_given_not_of_the_hosts(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    long_ago = ManualClock()
    async with object_server(tmp_path, long_ago.now, long_ago) as objects:
        await objects.put("x", b"hello", "text/plain")
        url = objects.sign_get("x", TTL, content_type="text/plain", disposition="inline")
        assert await ask(http, "GET", url) == 200
        assert await objects.ready()


async def test_another_key_and_another_bucket_are_refused(served: S3Objects, http: aiohttp.ClientSession) -> None:
    endpoint = served.sign_get("x", TTL, content_type="a", disposition="b").partition("/bucket")[0]
    for bucket, key_id, secret, status in (
        ("bucket", "test", "another secret", 403),
        ("bucket", "nobody", "a secret of tests", 403),
        ("other", "test", "a secret of tests", 404),
    ):
        other = S3Objects(ObjectsConfig(endpoint, endpoint, bucket, "local", key_id, secret), SystemClock())
        assert await ask(http, "GET", other.sign_get("x", TTL, content_type="a", disposition="b")) == status


async def test_no_key_leaves_the_folder(served: S3Objects) -> None:
    for key in ("../outside", "uploads/../../outside", ".hidden", "a//b", "uploads/.."):
        with pytest.raises(ObjectsUnavailable):
            await served.put(key, b"x", "text/plain")


async def test_pages_of_this_machine_may_ask_and_others_may_not(served: S3Objects, http: aiohttp.ClientSession) -> None:
    put = served.sign_put("uploads/a", "image/png", 5, TTL)
    preflight = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}
    for origin, allowed in (("http://127.0.0.1:8080", "http://127.0.0.1:8080"), ("https://evil.example", None)):
        headers = {**preflight, "Origin": origin}
        async with http.options(URL(put.url, encoded=True), headers=headers) as response:
            assert response.status == 200
            assert response.headers.get("Access-Control-Allow-Origin") == allowed


async def test_a_store_that_cannot_be_reached_is_said_to_be_unavailable() -> None:
    objects = S3Objects(ObjectsConfig("http://127.0.0.1:9", "http://127.0.0.1:9", "b", "r", "k", "s"), SystemClock())
    with pytest.raises(ObjectsUnavailable):
        await objects.size_of("uploads/a")
    assert not await objects.ready()
    await objects.stop()
