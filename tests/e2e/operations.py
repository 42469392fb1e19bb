"""What an operator asks of signaling about the newest call that runs."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
from parley.calls.v1 import operations_pb2, operations_pb2_grpc

from deploy.embedded.record import StackRecord
from services.runtime.grpc.channels import connect
from tests.support.admins import admin_of
from tests.support.waiting import PATIENCE_S


def move_call(record: StackRecord) -> int:
    """Moves it to another worker; returns how often it has moved by then."""
    answer = asyncio.run(_operate(record, "MoveCall", operations_pb2.MoveCallRequest))
    return int(answer.media_epoch)


def locate_call(record: StackRecord) -> str:
    """The id of the worker that carries it, which is also its process's name in the stack."""
    answer = asyncio.run(_operate(record, "LocateCall", operations_pb2.LocateCallRequest))
    return str(answer.worker_id)


async def _operate(record: StackRecord, method: str, request: type[Any]) -> Any:
    database = await asyncpg.connect(record.database_urls["parley_signaling"])
    call_id = await database.fetchval("SELECT call_id FROM calls WHERE state = 'active' ORDER BY call_id DESC")
    await database.close()
    async with connect(record.admin_addresses["signaling"], admin_of(record, "operator")) as channel:
        stub: Any = operations_pb2_grpc.CallOperationsServiceStub(channel)
        return await getattr(stub, method)(request(call_id=str(call_id)), timeout=PATIENCE_S)
