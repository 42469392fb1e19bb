"""Which replicas the gateways report dead. No IO, no clock."""

from collections import OrderedDict
from collections.abc import Collection

from services.presence.core.model import StreamId

# Members remembered. Raising it takes more memory for gateways that report nonsense; lowering it leaves some of many
# that die at once to the session timeout.
MEMBERS_LIMIT = 64


class FailureReports:
    """What each gateway has said; believed when more than half of those attached report it, so that one gateway that is
    cut off expels nobody."""

    def __init__(self) -> None:
        self._reporters: OrderedDict[str, set[StreamId]] = OrderedDict()

    def report(self, stream: StreamId, member_id: str, attached: Collection[StreamId]) -> bool:
        """A gateway reports a member dead. True when this is the report that makes it believed."""
        reporters = self._reporters.setdefault(member_id, set())
        reporters.intersection_update(attached)
        if stream in reporters or stream not in attached:
            return False
        reporters.add(stream)
        self._reporters.move_to_end(member_id)
        if len(self._reporters) > MEMBERS_LIMIT:
            self._reporters.popitem(last=False)
        return len(reporters) - 1 <= len(attached) / 2 < len(reporters)
