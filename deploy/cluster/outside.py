"""What the node's programs write outside of the cluster's folder whatever they are told, and how it goes again."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from deploy.cluster.configs import NETWORK

# The kubelet's links to logs and its plugins' folder, the controllers', what CNI remembers, and the runtime's sockets.
PLACES = tuple(
    Path(name)
    for name in (
        *("/var/log/containers", "/var/lib/kubelet", "/usr/libexec/kubernetes"),
        *("/var/lib/cni", "/run/containerd", "/opt/containerd"),
    )
)


def found(run: Path, places: Iterable[Path] = PLACES) -> Iterator[Path]:
    """What is there of the cluster in this folder: links into it, and what its network remembers."""
    for place in places:
        there = [*place.rglob("*")]
        # `parley-<pod>-eth0`, and beside it `cni-loopback-<pod>-lo`.
        pods = {path.name.split("-")[1] for path in there if path.name.startswith(f"{NETWORK}-")}
        for path in there:
            leads_in = path.is_symlink() and path.readlink().is_relative_to(run)
            if leads_in or (path.parent.name == "results" and not pods.isdisjoint(path.name.split("-"))):
                yield path


def sweep(run: Path, places: Iterable[Path] = PLACES) -> None:
    """Removes it, and sockets at which nobody listens any more; then the folders in which nothing is left."""
    for place in places:
        for path in [*found(run, [place]), *_sockets(place)]:
            path.unlink(missing_ok=True)
        folders = [path for path in place.rglob("*") if path.is_dir() and not path.is_symlink()]
        for path in [*sorted(folders, reverse=True), place]:
            with suppress(OSError):
                path.rmdir()


def _sockets(place: Path) -> Iterator[Path]:
    listening = {line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines() if "/" in line}
    for path in place.rglob("*"):
        with suppress(OSError):
            if stat.S_ISSOCK(path.lstat().st_mode) and str(path) not in listening:
                yield path
