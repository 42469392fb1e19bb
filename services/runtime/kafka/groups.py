"""Consumer groups as their coordinator knows them."""

import asyncio

from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.errors import KafkaError, NoError, UnknownMemberIdError, for_code
from aiokafka.protocol.group import LeaveGroupRequest

from services.runtime.config import KafkaConfig
from services.runtime.errors import BusUnavailable
from services.runtime.kafka import connection

# The deadline of the whole exchange. Raising it delays the caller; lowering it gives up while the broker is merely
# slow, and the session timeout has to do the work.
EXPEL_TIMEOUT_S = 3.0


class KafkaGroup:
    """One consumer group. Works beside any consumer: the coordinator takes a farewell from whoever brings it."""

    def __init__(self, config: KafkaConfig, group: str) -> None:
        self._config = config
        self._group = group

    async def expel(self, member_id: str) -> None:
        """Take leave for a member that is dead, so that its partitions move at once. One that the group does not know
        is passed over. Idempotent. A member that lives all the same learns it at its next heartbeat and joins anew.

        Errors: BusUnavailable.
        """
        try:
            client = AIOKafkaClient(**connection.client_options(self._config))
        except OSError as error:
            raise BusUnavailable(f"the broker's certificates cannot be read: {error.strerror}") from error
        try:
            async with asyncio.timeout(EXPEL_TIMEOUT_S):
                await client.bootstrap()
                node = await client.coordinator_lookup(CoordinationType.GROUP, self._group)
                request = LeaveGroupRequest(self._group, member_id)
                answer = await client.send(node, request, group=ConnectionGroup.COORDINATION)
        except (KafkaError, OSError, TimeoutError) as error:
            raise BusUnavailable(f"the coordinator did not answer: {type(error).__name__}") from error
        finally:
            await client.close()
        outcome = for_code(answer.error_code)
        if outcome not in (NoError, UnknownMemberIdError):
            raise BusUnavailable(f"the coordinator refused: {outcome.__name__}")
