"""Requests of messaging's clients, as bytes: an answer or a documented refusal, over stores in memory.

The first byte says which call. Work is not counted: what is behind a call is more than a reader.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import grpc
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from parley.messaging.v1 import attachments_pb2, relations_pb2, scheduled_pb2, service_pb2

from services.messaging.attachments.rpc import AttachmentsServicer
from services.messaging.drafts.service import Drafts
from services.messaging.hooks.service.withdrawing import Withdrawals
from services.messaging.relations.rpc import RelationsServicer
from services.messaging.rpc import ERRORS, MessagingServicer
from services.messaging.scheduling.rpc import ScheduledMessagesServicer
from services.messaging.scheduling.service.scheduling import Scheduling
from services.runtime.errors import BASE_TABLE, find_refusal
from services.runtime.identity.auth import UserId, UserToken, set_current_token
from services.runtime.ids import new_id
from tests.support.drafts import MemoryDrafts
from tests.support.hooks import MemoryHeld
from tests.support.messaging_world import ALICE, BOB, World
from tests.support.scheduled import MemoryScheduled

LINES, LINES_PER_BYTE = 200_000, 4_000
_TABLE = {**BASE_TABLE, **ERRORS}
_CONTEXT = cast("grpc.aio.ServicerContext[Any, Any]", None)
_SERVICES = (
    (service_pb2, "MessagingService"),
    (relations_pb2, "RelationsService"),
    (attachments_pb2, "AttachmentsService"),
    (scheduled_pb2, "ScheduledMessagesService"),
)
CALLS = [
    (service, method.name, GetMessageClass(method.input_type))
    for module, service in _SERVICES
    for method in module.DESCRIPTOR.services_by_name[service].methods
]


ROOM = "0192aaaa-0000-7000-8000-000000000000"


def _seed(at: int) -> bytes:
    """A request whose every text is Bob's name, which gets past some first checks."""
    request = CALLS[at][2]()
    for field in request.DESCRIPTOR.fields:
        if field.type == field.TYPE_STRING and not field.is_repeated:
            setattr(request, field.name, ROOM if "conversation" in field.name else BOB)
    return bytes((at,)) + request.SerializeToString()


SEEDS = tuple(_seed(at) for at in range(len(CALLS)))


async def _run(service: str, name: str, request: Message) -> None:
    world = World()
    servicers: dict[str, Callable[[], Any]] = {
        "MessagingService": lambda: MessagingServicer(
            *(world.conversations, world.sending, world.changing, world.history, world.sync, world.search),
            *(world.groups, world.receipts, world.vanishing, world.pins, world.forwarding),
            *(Withdrawals(MemoryHeld(world.store), world.clock), Drafts(MemoryDrafts(world.store), world.clock)),
        ),
        "RelationsService": lambda: RelationsServicer(world.relations, world.reports, relations_pb2.Limits()),
        "AttachmentsService": lambda: AttachmentsServicer(world.attachments, world.openings),
        "ScheduledMessagesService": lambda: ScheduledMessagesServicer(
            Scheduling(
                *(MemoryScheduled(world.store), world.sending, world.store),
                *(Withdrawals(MemoryHeld(world.store), world.clock), world.clock, new_id),
            )
        ),
    }
    set_current_token(UserToken(UserId(ALICE), 2**40))
    answer = await getattr(servicers[service](), name)(request, _CONTEXT)
    assert isinstance(answer, Message)
    answer.SerializeToString()


def fuzz(data: bytes) -> None:
    """Raises for anything but the errors that have a row in the tables of refusals."""
    service, name, kind = CALLS[(data[0] if data else 0) % len(CALLS)]
    try:
        request = kind.FromString(data[1:])
    except DecodeError:
        return
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(_run(service, name, request))
    except Exception as error:
        if find_refusal(_TABLE, error) is None:
            raise
    finally:
        loop.close()
