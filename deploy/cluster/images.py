"""From buildah's images into the node's runtime, those that changed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from deploy.cluster.errors import ClusterError
from deploy.cluster.image_archive import archive
from deploy.cluster.layout import COREDNS, PAUSE, Layout

# A name without a registry, in a manifest, is docker.io's to the runtime.
REGISTRY = "docker.io"
_LOCAL = "localhost/"
_OURS = ("parley/", "envoyproxy/", "coturn/")
# Of which others are made.
_BASES = ("parley/base:", "parley/beside:")
# What the node's runtime was given already: {name: id}. Beside its images, so that it goes with them.
_RECORD = "imported.json"


def wanted(listing: str) -> dict[str, str]:
    """The images for the node by the names that manifests have, from lines of `ID NAME`."""
    found = {}
    for line in listing.splitlines():
        identity, _, name = line.partition(" ")
        short = name.removeprefix(_LOCAL)
        if name.startswith(_LOCAL) and short.startswith(_OURS) and not short.startswith(_BASES):
            found[short] = identity
    return found


def changed(present: Mapping[str, str], imported: Mapping[str, str]) -> list[str]:
    """Those that the node does not have as they are now."""
    return sorted(name for name, identity in present.items() if imported.get(name) != identity)


def bring(layout: Layout) -> list[str]:
    """Imports what changed; returns the names. Raises ClusterError."""
    env = {**os.environ, "CONTAINERS_CONF": str(layout.work / "k8s" / "containers.conf")}
    listing = _run(["podman", "images", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}"], env)
    present = wanted(listing)
    record = layout.containerd / _RECORD
    imported: dict[str, str] = {}
    with suppress(OSError, ValueError):
        imported = json.loads(record.read_text())
    names = changed(present, imported)
    for name in names:
        _run(["podman", "tag", f"{_LOCAL}{name}", f"{REGISTRY}/{name}"], env)
    if names:
        # One archive, since most of them share nearly all of their layers.
        file = layout.images / "changed.tar"
        file.unlink(missing_ok=True)
        full = [f"{REGISTRY}/{name}" for name in names]
        try:
            _run(["podman", "save", "--quiet", "--multi-image-archive", "-o", str(file), *full], env)
            _import(layout, file)
        finally:
            file.unlink(missing_ok=True)
    _bring_programs(layout)
    record.write_text(json.dumps(present, indent=1))
    return names


def _bring_programs(layout: Layout) -> None:
    """Images of one program each."""
    pause = (layout.images / "pause").read_bytes()
    coredns = Path(layout.program("coredns")).read_bytes()
    for name, path, data in ((PAUSE, "/pause", pause), (COREDNS, "/coredns", coredns)):
        file = layout.images / f"{path.strip('/')}.tar"
        file.write_bytes(archive(name, [path], {path: data}))
        _import(layout, file)
        file.unlink()


def _import(layout: Layout, file: Path) -> None:
    _run([*ctr(layout), "images", "import", str(file)], None)


def ctr(layout: Layout) -> list[str]:
    """The runtime's own client, as the kubelet's."""
    return ["ctr", "-a", str(layout.containerd_socket), "-n", "k8s.io"]


def _run(command: Sequence[str], env: Mapping[str, str] | None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)  # noqa: S603 - our own command
    if done.returncode:
        raise ClusterError(f"{' '.join(command[:3])}: {done.stderr.strip()[-500:]}")
    return done.stdout
