"""The network's hook, over gRPC or as signed JSON over HTTP. Its address is the deployment's: nothing that people send
leads elsewhere. What it answers is from outside, and bounded."""

import asyncio
from collections.abc import Mapping, Sequence

import aiohttp
import grpc
from google.protobuf.json_format import MessageToJson, Parse, ParseError
from parley.hooks.v1 import service_pb2 as api
from parley.hooks.v1 import service_pb2_grpc

from services.messaging.hooks.core.verdicts import Question, Verdict
from services.messaging.hooks.mapping import question_message, verdict_of
from services.messaging.hooks.ports import NoAnswer, Problem
from services.runtime.clock import Clock
from services.runtime.grpc.channels import Credentials, connect_outside
from services.runtime.http.reading import BodyTooLarge, read_bounded
from services.runtime.http.webhooks import signed_headers
from services.runtime.observability import tracing

# A longer answer is none. Raising it takes more memory of a hook that answers without an end; lowering it refuses it to
# replace the longest texts.
MAX_ANSWER_BYTES = 64 * 1024
# JSON of an answer is deeper nowhere.
_MAX_DEPTH = 20
# A connection that rests is kept for so long; many servers close it before. Raising it saves the time to connect where
# little is written; lowering it keeps fewer.
_KEPT_S = 60.0
AUDIENCE = "parley.hooks.v1.MessageHookService"
_IN_VAIN = {
    grpc.StatusCode.DEADLINE_EXCEEDED: Problem.TIMEOUT,
    grpc.StatusCode.UNAVAILABLE: Problem.UNREACHABLE,
    # More bytes than are taken.
    grpc.StatusCode.RESOURCE_EXHAUSTED: Problem.UNREADABLE,
    # What grpc could not parse.
    grpc.StatusCode.INTERNAL: Problem.UNREADABLE,
}


class GrpcHook:
    """See ports.MessageHook. `tokens`: by which the hook knows messaging; None where it is not to."""

    name = "hook"

    def __init__(self, target: str, tokens: Credentials | None, *, secure: bool) -> None:
        self._target = target
        self._tokens = tokens
        self._secure = secure
        self._channel: grpc.aio.Channel | None = None
        self._stub: service_pb2_grpc.MessageHookServiceAsyncStub | None = None

    async def start(self) -> None:
        self._channel = connect_outside(self._target, MAX_ANSWER_BYTES, secure=self._secure)
        self._stub = service_pb2_grpc.MessageHookServiceStub(self._channel)

    async def stop(self) -> None:
        if self._channel:
            await self._channel.close()

    async def ask(self, question: Question, timeout_s: float) -> Verdict:
        assert self._stub
        metadata = [("authorization", f"Bearer {self._tokens.token(AUDIENCE)}")] if self._tokens else []
        if trace := tracing.current_header():
            metadata.append((tracing.HEADER, trace))
        try:
            answer = await self._stub.CheckMessage(
                question_message(question), timeout=timeout_s, metadata=tuple(metadata)
            )
        except grpc.aio.AioRpcError as error:
            raise NoAnswer(_IN_VAIN.get(error.code(), Problem.FAILED), error.code().name) from error
        return verdict_of(answer)


class HttpHook:
    """See ports.MessageHook."""

    name = "hook"

    def __init__(self, url: str, secrets: Sequence[bytes], clock: Clock) -> None:
        self._url = url
        self._secrets = secrets
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        # How many there are at once, the turns say (service/asking.py).
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEPT_S), cookie_jar=aiohttp.DummyCookieJar()
        )

    async def stop(self) -> None:
        if self._session:
            await self._session.close()

    async def ask(self, question: Question, timeout_s: float) -> Verdict:
        body = MessageToJson(question_message(question), indent=None).encode()
        at_s = int(self._clock.now().timestamp())
        headers = signed_headers(self._secrets, str(question.check_id), at_s, body)
        try:
            async with asyncio.timeout(timeout_s):
                try:
                    answer = await self._post(body, headers)
                except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                    if isinstance(error, aiohttp.ClientConnectorError):
                        raise
                    # It may have closed a connection that rested just when we used it. To be asked twice does no harm.
                    answer = await self._post(body, headers)
        except TimeoutError as error:
            raise NoAnswer(Problem.TIMEOUT) from error
        except BodyTooLarge as error:
            raise NoAnswer(Problem.UNREADABLE, str(error)) from error
        except (aiohttp.ClientConnectionError, OSError) as error:
            raise NoAnswer(Problem.UNREACHABLE, type(error).__name__) from error
        except (aiohttp.ClientError, ValueError) as error:
            raise NoAnswer(Problem.UNREADABLE, type(error).__name__) from error
        return verdict_of(read_answer(answer))

    async def _post(self, body: bytes, headers: Mapping[str, str]) -> bytes:
        assert self._session
        async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
            if response.status != 200:
                raise NoAnswer(Problem.FAILED, f"status {response.status}")
            return await read_bounded(response, MAX_ANSWER_BYTES)


def read_answer(answer: bytes) -> api.CheckMessageResponse:
    """The JSON of an answer; fields that this release does not know are left out. Raises NoAnswer."""
    try:
        return Parse(answer, api.CheckMessageResponse(), ignore_unknown_fields=True, max_recursion_depth=_MAX_DEPTH)
    except (ParseError, ValueError, RecursionError) as error:
        # Also bytes that are no UTF-8.
        raise NoAnswer(Problem.UNREADABLE, type(error).__name__) from error
