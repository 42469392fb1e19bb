"""Where everything of a cluster is: folders, addresses, names. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# This machine's end of the only cable, and the node's: a network of its own, with nobody else on it.
HOST_IP = "10.214.8.2"
NODE_IP = "10.214.8.1"
# A default route, as programs want one. It leads to a bridge with nobody on it.
VOID_IP = "10.214.9.1"
VOID_GATEWAY = "10.214.9.2"
POD_CIDR = "10.214.16.0/20"
# Of the one node.
NODE_POD_CIDR = "10.214.16.0/24"
SERVICE_CIDR = "10.214.32.0/20"
API_SERVICE_IP = "10.214.32.1"
# Fixed, since it stands in files: the kubelet's, and addons/coredns.yaml.
DNS_IP = "10.214.32.10"
# Fixed, since the edge's certificate names it: overlay/kustomization.yaml.
EDGE_IP = "10.214.32.20"
API_PORT = 6443
NODE = "node1"
PAUSE = "localhost/parley/pause:1"
COREDNS = "localhost/parley/coredns:1"


@dataclass(frozen=True)
class Layout:
    """Of one cluster. `name` tells it from others: its folder in `.parley`, its network namespace."""

    # The repository's folder `.parley` itself, and no link to it: the kernel names mounts by where they are.
    work: Path
    binaries: Path
    name: str = "cluster"
    # Whether this machine reaches it. Without a cable only what enters its network does.
    cable: bool = True

    @property
    def run(self) -> Path:
        """All that it writes."""
        return self.work / self.name

    @property
    def netns(self) -> str:
        """Its node's network."""
        return f"parley-{self.name}"

    @property
    def inside(self) -> list[str]:
        """Before a command: it runs in the node's network."""
        return ["nsenter", f"--net=/run/netns/{self.netns}"]

    @property
    def pki(self) -> Path:
        """Certificates and keys."""
        return self.run / "pki"

    @property
    def logs(self) -> Path:
        """Of the programs, a file each, and in `pods` of the containers; they stay."""
        return self.run / "logs"

    @property
    def pids(self) -> Path:
        """A file for each program that was started."""
        return self.run / "pids"

    @property
    def images(self) -> Path:
        """What images are made of. It stays."""
        return self.run / "images"

    @property
    def containerd(self) -> Path:
        """The runtime's images and containers. It stays, so that nothing is brought twice."""
        return self.run / "containerd"

    @property
    def containerd_socket(self) -> Path:
        """Where the runtime answers."""
        return self.run / "containerd.sock"

    @property
    def edge_ca(self) -> Path:
        """The authority that clients outside believe."""
        return self.pki / "edge-ca.pem"

    def kubeconfig(self, user: str = "admin") -> Path:
        """How this user reaches the API server."""
        return self.run / f"{user}.kubeconfig"

    def program(self, name: str) -> str:
        """Where one of the built programs is."""
        return str(self.binaries / name)
