from services.ops.core.routing import AttachedGateway, Device, Gateway, Replica, partitions, sessions, slowest
from services.ops.core.tables import Unreachable

G1 = AttachedGateway("g-1", sessions=3, watching=1, queued=2)
G2 = AttachedGateway("g-2", sessions=4, watching=0, queued=0)


def replica(name: str, owned: tuple[int, ...], *gateways: AttachedGateway) -> Replica:
    return Replica(name, 2, owned, 8, False, gateways, 5, 1, 0)


def test_partitions_are_shown_by_replica_in_ranges() -> None:
    lines = partitions([replica("presence-1", (0, 1, 2, 3, 6)), replica("presence-2", (4, 5, 7))])
    assert lines[1].split() == ["presence-1", "2", "0-3,6", "5", "0", "routing", "1/0"]
    assert lines[2].split()[2] == "4-5,7"
    assert len(lines) == 3


def test_what_nobody_or_more_than_one_owns_is_pointed_at() -> None:
    lines = partitions([replica("presence-1", (0, 1, 2, 3)), replica("presence-2", (3, 4, 5))])
    assert lines[-2:] == ["owned by nobody: 6-7", "owned more than once: 3"]


def test_sessions_of_a_gateway_are_summed_over_the_replicas_that_route_them() -> None:
    gateways = [Gateway("gateway-1", "g-1", 6, 0, 1, 5, 2, False), Gateway("gateway-2", "g-2", 4, 0, 0, 4, 2, True)]
    lines = sessions(gateways, [replica("presence-1", (0,), G1, G2), replica("presence-2", (1,), G1)])
    assert lines[1].split() == ["gateway-1", "6", "6", "0", "1", "5", "2", "4", "open"]
    assert lines[2].split() == ["gateway-2", "4", "4", "0", "0", "4", "2", "0", "draining"]


def test_the_slowest_devices_come_first_over_all_gateways() -> None:
    devices = [
        Device("gateway-1", "ann", "phone", 1, 100, 0.5, 0),
        Device("gateway-2", "bob", "tablet", 9, 900, 3.25, 2),
        Device("gateway-1", "cid", "laptop", 0, 0, 0.0, 0),
    ]
    lines = slowest(devices, [], limit=2)
    assert [line.split()[1] for line in lines[1:]] == ["bob", "ann"]
    assert lines[1].split()[3:] == ["9", "900", "3.2", "2"]


def test_who_does_not_answer_is_named() -> None:
    assert partitions([Unreachable("presence-1", "UNAVAILABLE")])[-1] == "presence-1 does not answer: UNAVAILABLE"
