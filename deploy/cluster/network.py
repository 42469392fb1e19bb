"""The node's network: a namespace, and one cable to this machine. No port of the machine is taken. Pure: commands."""

from __future__ import annotations

from deploy.cluster.layout import HOST_IP, NODE_IP, POD_CIDR, SERVICE_CIDR, VOID_GATEWAY, VOID_IP, Layout

# This machine's end of the cable.
CABLE = "parley-host"
Command = list[str]


def up(layout: Layout) -> list[Command]:
    """What makes it."""
    inside = layout.inside
    commands = [
        ["ip", "netns", "add", layout.netns],
        [*inside, "ip", "link", "set", "lo", "up"],
    ]
    if not layout.cable:
        # An API server wants an address that is not the loopback's.
        return [*commands, [*inside, "ip", "addr", "add", f"{NODE_IP}/32", "dev", "lo"]]
    return [
        *commands,
        ["ip", "link", "add", CABLE, "type", "veth", "peer", "name", "node0", "netns", layout.netns],
        ["ip", "addr", "add", f"{HOST_IP}/30", "dev", CABLE],
        ["ip", "link", "set", CABLE, "up"],
        [*inside, "ip", "addr", "add", f"{NODE_IP}/30", "dev", "node0"],
        [*inside, "ip", "link", "set", "node0", "up"],
        [*inside, "ip", "link", "add", "void0", "type", "bridge"],
        [*inside, "ip", "addr", "add", f"{VOID_IP}/30", "dev", "void0"],
        [*inside, "ip", "link", "set", "void0", "up"],
        [*inside, "ip", "route", "add", "default", "via", VOID_GATEWAY, "dev", "void0"],
        [*inside, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0"],
        # This machine reaches Services and pods as a client from outside does: through the node.
        ["ip", "route", "add", POD_CIDR, "via", NODE_IP],
        ["ip", "route", "add", SERVICE_CIDR, "via", NODE_IP],
    ]


def down(layout: Layout) -> list[Command]:
    """What removes it; each may fail, where there is nothing."""
    # The cable and the routes over it go with the namespace, but not always at once.
    return [["ip", "netns", "del", layout.netns], *([["ip", "link", "del", CABLE]] if layout.cable else [])]
