"""A cluster comes up from nothing, and goes with all that it made. Asks for root, Debian's containerd and etcd."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

from deploy.cluster import configs, definitions, images, network, operators, outside, pki, programs
from deploy.cluster.errors import ClusterError, KubectlError
from deploy.cluster.kubectl import Kubectl
from deploy.cluster.layout import NODE, Layout
from deploy.cluster.processes import Processes
from deploy.k8s import secrets
from deploy.k8s.objects import FOLDER, Object, parse

OVERLAY = Path(__file__).parent / "overlay"
COREDNS = Path(__file__).parent / "addons" / "coredns.yaml"
BROKER_SETTINGS = Path(__file__).parent / "stores" / "server.properties"
NAMESPACES = FOLDER / "base" / "namespaces.yaml"
# Far above what an idle machine needs (API server 12 s, node 10 s, Parley 90 s): others may be at work on it.
START_WITHIN_S = 180.0
READY_WITHIN_S = 420.0
_STEP_S = 0.5
# What a run may leave: what was built or brought once, and what it wrote for people.
_KEPT = ("images", "containerd", "logs")
_COMMANDS = ("ip", "nsenter", "sysctl", "etcd")
_API_PROGRAMS = ("kube-apiserver", "kubectl")
_NODE_COMMANDS = ("containerd", "ctr", "runc", "podman", "iptables", f"{configs.CNI_PROGRAMS}/bridge")
_NODE_PROGRAMS = ("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "coredns")


class Cluster:
    """Of one layout. `say` takes lines of progress."""

    def __init__(self, layout: Layout, say: Callable[[str], None]) -> None:
        self.layout = layout
        self.kubectl = Kubectl(layout)
        self._say = say
        self._processes = Processes(layout.pids, layout.logs)

    async def api_up(self) -> None:
        """etcd and an API server: objects are validated and kept, and nothing runs. Raises ClusterError."""
        _ask_for([*_COMMANDS, *map(self.layout.program, _API_PROGRAMS)])
        if self._processes.names():
            raise ClusterError(f"a cluster is up, or was not taken down, in {self.layout.run}")
        await asyncio.to_thread(self._prepare)
        for name, command in programs.api(self.layout).items():
            self._start(name, command)
        await self._until("the API server", lambda: self._says("get", "--raw", "/readyz"), START_WITHIN_S)

    async def up(self, *, policies: bool) -> None:
        """The control plane and one node that is ready; `policies` are enforced or not. Raises ClusterError."""
        ours = [*_NODE_PROGRAMS, *(["kube-router"] if policies else [])]
        _ask_for([*_NODE_COMMANDS, *map(self.layout.program, ours)])
        await self.api_up()
        for name, command in (programs.controllers(self.layout) | programs.runtime(self.layout)).items():
            self._start(name, command)
        await self._until("containerd", self._runtime_answers, START_WITHIN_S)
        brought = await asyncio.to_thread(images.bring, self.layout)
        self._say(f"{len(brought)} images were new or changed")
        for name, command in programs.node(self.layout).items():
            self._start(name, command)
        await self._until("the node", self._node_is_ready, START_WITHIN_S)
        await self.kubectl.apply(parse(COREDNS.read_text()))
        # Before the others: who finds no names at its start crashes, and is started again ever more slowly.
        await self.kubectl.run("rollout", "status", "deploy/coredns", "-n", "kube-system", "--timeout=120s")
        if policies:
            for name, command in programs.policies(self.layout).items():
                self._start(name, command)

    async def define(self, objects: Sequence[Object], real: Path) -> list[str]:
        """The operators' kinds; returns those that only a stand-in defines. Raises KubectlError."""
        given = await asyncio.to_thread(definitions.load, real)
        found, made = definitions.needed(objects, given)
        await self.kubectl.apply(found, "--server-side")
        names = [f"crd/{item['metadata']['name']}" for item in found]
        await self.kubectl.run("wait", "--for=condition=Established", "--timeout=60s", *names)
        return made

    async def install(self, objects: list[Object]) -> None:
        """Parley from nothing, as docs/operations/install.md says. Raises ClusterError."""
        await self.kubectl.run("apply", "-f", str(NAMESPACES))
        # These are with cert-manager, Strimzi and External Secrets otherwise.
        ours = secrets.manifests()
        made = await asyncio.to_thread(operators.issue, objects, self.layout.pki)
        told = operators.setup(objects, ours, BROKER_SETTINGS.read_text())
        await self.kubectl.apply([*ours, *made, *told])
        await self.kubectl.apply(objects)

    async def until_ready(self) -> None:
        """All that `install` applied is ready, and the migrations are through. Raises ClusterError."""
        began_s = time.monotonic()
        places = [(item["kind"].lower(), item) for item in await self._workloads()]
        for kind, item in places:
            left_s = max(1, round(READY_WITHIN_S - (time.monotonic() - began_s)))
            name, namespace = f"{kind}/{item['metadata']['name']}", item["metadata"]["namespace"]
            await self.kubectl.run("rollout", "status", name, "-n", namespace, f"--timeout={left_s}s")
        jobs = ("job", "-l", "app.kubernetes.io/name=migrations", "-n", "parley")
        await self.kubectl.run("wait", "--for=condition=complete", *jobs, "--timeout=60s")

    async def down(self) -> None:
        """Ends and removes all of it, pods first. Idempotent."""
        await asyncio.to_thread(self._down)

    def left_behind(self) -> list[str]:
        """What `down` should have removed and is still there."""
        layout = self.layout
        found = [f"the process {name}" for name in self._processes.names()]
        found += [f"the network {path.name}" for path in Path("/run/netns").glob(layout.netns)]
        if layout.cable and Path("/sys/class/net", network.CABLE).exists():
            found.append(f"the cable {network.CABLE}")
        found += [f"the mount {mount}" for mount in _mounts(layout.run)]
        if layout.cable:
            found += [f"the group {path}" for path in _pod_groups()]
            found += map(str, outside.found(layout.run))
        found += [str(path) for path in layout.run.glob("*") if path.name not in _KEPT]
        found += [f"the process {pid}, of a container" for pid in self._shims()]
        return found

    async def _workloads(self) -> list[Object]:
        found = []
        for namespace in ("parley", "parley-media"):
            found += await self.kubectl.get("deployment,statefulset", "-n", namespace)
        # Stores first: the others wait for them.
        return sorted(found, key=lambda item: item["kind"], reverse=True)

    async def _says(self, *words: str) -> bool:
        return (await self.kubectl.ask(*words)).status == 0

    async def _runtime_answers(self) -> bool:
        command = [*images.ctr(self.layout), "version"]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False)
        return bool(done.returncode == 0)

    async def _node_is_ready(self) -> bool:
        try:
            node = await self.kubectl.get("node", NODE)
        except KubectlError:
            return False
        return any(one["type"] == "Ready" and one["status"] == "True" for one in node["status"].get("conditions", []))

    async def _until(self, what: str, ready: Callable[[], Awaitable[bool]], within_s: float) -> None:
        began_s = time.monotonic()
        try:
            async with asyncio.timeout(within_s):
                while not await ready():
                    self._look_after()
                    await asyncio.sleep(_STEP_S)
        except TimeoutError:
            raise ClusterError(f"{what} was not ready within {within_s:.0f} s: see {self.layout.logs}") from None
        self._say(f"{what} is ready after {time.monotonic() - began_s:.1f} s")

    def _look_after(self) -> None:
        """Who ended is told of at once."""
        for name in self._processes.names():
            if not self._processes.runs(name):
                raise ClusterError(f"{name} ended:\n{self._processes.tail(name)}")

    def _start(self, name: str, command: list[str]) -> None:
        self._processes.start(name, [*self.layout.inside, *command])

    def _prepare(self) -> None:
        layout = self.layout
        nodes = (layout.containerd, layout.images) if layout.cable else ()
        for folder in (layout.pids, layout.run / "cni", *nodes):
            folder.mkdir(parents=True, exist_ok=True)
        layout.pki.mkdir(mode=0o700, exist_ok=True)
        shutil.rmtree(layout.logs, ignore_errors=True)
        layout.logs.mkdir()
        for command in network.up(layout):
            _do(command)
        pki.write(layout)
        for name, text in configs.files(layout, shutil.which("runc") or "runc").items():
            (layout.run / name).write_text(text)

    def _down(self) -> None:
        layout = self.layout
        # Who starts containers goes before they do; who keeps them, after.
        first = ("kube-router", "kubelet", "kube-proxy", "kube-scheduler", "kube-controller-manager")
        for name in first:
            self._processes.stop(name)
        networks = _remove_containers(layout) if self._processes.runs("containerd") else set()
        for name in self._processes.names():
            self._processes.stop(name)
        for mount in _mounts(layout.run):
            _do(["umount", "-l", mount], check=False)
        for name in networks:
            _do(["ip", "netns", "del", Path(name).name], check=False)
        for command in network.down(layout):
            _do(command, check=False)
        if layout.cable:
            for group in _pod_groups():
                with suppress(OSError):
                    Path(group).rmdir()
            outside.sweep(layout.run)
        for path in layout.run.glob("*"):
            if path.name not in _KEPT:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.rmtree(layout.containerd / "state", ignore_errors=True)

    def _shims(self) -> list[int]:
        """The processes that hold our containers."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                words = path.read_bytes().split(b"\0")
                if b"containerd-shim" in words[0] and str(self.layout.containerd_socket).encode() in words:
                    found.append(int(path.parent.name))
        return found


def render() -> list[Object]:
    """The overlay of this machine's cluster. Raises ClusterError."""
    command = ["kubectl", "kustomize", str(OVERLAY)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own folder
    if done.returncode:
        raise ClusterError(done.stderr)
    return parse(done.stdout)


def _remove_containers(layout: Layout) -> set[str]:
    """Their processes are killed: whoever takes the cluster down does not wait for drains. Returns their networks."""
    ctr = images.ctr(layout)
    networks: set[str] = set()
    for task in _words([*ctr, "tasks", "ls", "-q"]):
        _do([*ctr, "tasks", "rm", "-f", task], check=False)
    for container in _words([*ctr, "containers", "ls", "-q"]):
        networks |= _networks_of([*ctr, "containers", "info", container])
        _do([*ctr, "containers", "rm", container], check=False)
    return networks


def _networks_of(command: Sequence[str]) -> set[str]:
    """Those that a container has of its own."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    try:
        namespaces = json.loads(done.stdout)["Spec"]["linux"]["namespaces"]
    except (ValueError, KeyError):
        return set()
    return {one["path"] for one in namespaces if one["type"] == "network" and one.get("path")}


def _mounts(folder: Path) -> list[str]:
    """Those below it, the innermost first."""
    found = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return sorted((one for one in found if one.startswith(f"{folder}/")), reverse=True)


def _pod_groups() -> list[str]:
    """The control groups that the kubelet made, the innermost first."""
    folders = [path for root in Path("/sys/fs/cgroup").glob("**/kubepods") for path in (root, *root.rglob("*/"))]
    return sorted((str(path) for path in folders), reverse=True)


def _words(command: Sequence[str]) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()  # noqa: S603


def _do(command: Sequence[str], *, check: bool = True) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    if check and done.returncode:
        raise ClusterError(f"{' '.join(command)}: {done.stderr.strip()}")


def _ask_for(commands: Sequence[str]) -> None:
    missing = [one for one in commands if shutil.which(one) is None]
    if os.geteuid() != 0 or missing:
        raise ClusterError(f"This asks for root, and for {', '.join(missing) or 'nothing else'}.")
