"""The names that participants and calls go by."""

from typing import Literal, NamedTuple, NewType

CallId = NewType("CallId", str)
UserId = NewType("UserId", str)
DeviceId = NewType("DeviceId", str)
WorkerId = NewType("WorkerId", str)
# Tells the legs to other workers apart, for as long as this one runs; never used again.
LegNumber = NewType("LegNumber", int)
# Tells participants of one worker apart, for as long as it runs; never used again.
ParticipantNumber = NewType("ParticipantNumber", int)

Kind = Literal["audio", "video"]

# (host, port) of a UDP peer, as the socket gives it.
Address = tuple[str, int]


class ParticipantKey(NamedTuple):
    """One device of one user in one call; a second join by the same key replaces the first."""

    call_id: CallId
    user_id: UserId
    device_id: DeviceId
