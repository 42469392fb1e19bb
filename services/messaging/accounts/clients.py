"""Other services, asked what they hold of a person."""

from collections.abc import Sequence

import grpc
from parley.accounts.v1 import service_pb2, service_pb2_grpc

from services.messaging.accounts.ports import SourceUnavailable
from services.messaging.kernel.model import UserId
from services.runtime.errors import reason_of
from services.runtime.grpc.channels import ServiceClient
from services.runtime.grpc.tls import Peer
from services.runtime.identity.auth import ServiceTokens

# Of one page. Raising it leaves a job longer with a service that hangs, within its lease; lowering it gives up a
# service that is only busy.
TIMEOUT_S = 20.0


class GrpcSource(ServiceClient):
    """See ports.AccountSource."""

    def __init__(self, name: str, address: str, tokens: ServiceTokens, peer: Peer | None = None) -> None:
        super().__init__(address, tokens, peer)
        self.name = name

    async def read(self, user_id: UserId, page: str) -> tuple[Sequence[str], str]:
        """See ports.AccountSource."""
        if self._channel is None:
            raise SourceUnavailable(f"{self.name} is not connected")
        stub = service_pb2_grpc.AccountDataServiceStub(self._channel)
        request = service_pb2.ReadAccountRequest(user_id=user_id, page_token=page)
        try:
            response = await stub.ReadAccount(request, timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            why = reason_of(error) or error.code().name
            raise SourceUnavailable(f"{self.name} does not answer: {why}") from error
        return list(response.lines), response.next_page_token
