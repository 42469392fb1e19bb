"""The overlay dev as pods of podman on a network of their own. Asks for root, and for Debian's podman and buildah."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import yaml

from deploy.embedded import broker, probes
from deploy.embedded.errors import StartError
from deploy.k8s import secrets
from deploy.k8s.objects import Object
from deploy.k8s.podman import bridge, transform

NETWORK = "parley"
# An own network of this machine; nothing else is on it.
SUBNET = "10.214.7.0/24"
_ADDRESS = "10.214.7.{}"
CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile=8192:8192", "nproc=8192:8192"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
"""
BESIDE = f"{transform.REGISTRY}/parley/beside:dev"
# Before the services: who they need. Then all, each with one replica.
MIGRATIONS = ("migrate-messaging", "migrate-presence", "migrate-signaling", "migrate-webhooks", "migrate-push")
STAND_INS = ("issuer", "objects")
SERVICES = ("messaging", "presence", "gateway", "signaling", "webhooks", "push", "previews", "sfu", "edge")
# Far above what an idle machine needs (5 s): with others at work, all services start at once on two cores.
READY_WITHIN_S = 240.0
# Podman 4.3 now and then finds a container neither running nor stopped while it ends; the next time it is gone.
REMOVALS = 4
_POSTGRES = (
    "initdb -D /data/pg --username=postgres --auth=trust --encoding=UTF8 --locale-provider=builtin --locale=C.UTF-8"
    " >/dev/null && exec postgres -D /data/pg -k /data -c listen_addresses='*' -c max_connections=200"
)
_ALLOW = "echo 'host all all all trust' >> /data/pg/pg_hba.conf"
DATABASE_TLS = "sslmode=verify-full&sslrootcert=/etc/postgres/ca.crt"
# What the manifests have otherwise, and why: the stores beside have no TLS, and nobody issues certificates.
OVER: Mapping[str, str] = {
    **broker.CLIENT_SETTINGS,
    "PARLEY_KAFKA_BOOTSTRAP": "parley-kafka-bootstrap:9092",
    "PARLEY_KAFKA_TLS": "",
    "PARLEY_KAFKA_CA_FILE": "",
    "PARLEY_KAFKA_CERTIFICATE_FILE": "",
    "PARLEY_KAFKA_KEY_FILE": "",
    "PARLEY_EDGE_TLS_CERTIFICATE_FILE": "",
    "PARLEY_EDGE_TLS_KEY_FILE": "",
    "PARLEY_EDGE_HEALTH_INTERVAL_S": "1",
}


@dataclass
class Cluster:
    """The pods that run, by name, each with its address."""

    objects: list[Object]
    folder: Path
    say: Callable[[str], None]
    pods: dict[str, str] = field(default_factory=dict)
    _next: int = 10

    def __post_init__(self) -> None:
        self._secrets = {
            (str(item["metadata"]["namespace"]), str(item["metadata"]["name"])): dict(item["stringData"])  # type: ignore[call-overload, index]
            for item in secrets.manifests()
        }

    async def up(self) -> None:
        """Everything, in order. Raises StartError."""
        if os.geteuid() != 0 or shutil.which("podman") is None:
            raise StartError("This asks for root and Debian's podman, buildah, runc, catatonit and netavark.")
        await asyncio.to_thread(self._prepare)
        await self.down()
        # Never made anew: the name server of a former one would go on without the new addresses.
        if NETWORK not in (await self._podman("network", "ls", "--format", "{{.Name}}")).split():
            await self._podman("network", "create", "--subnet", SUBNET, NETWORK)
        await self._stores()
        for name in STAND_INS:
            await self.start(name)
        await asyncio.gather(*(self._migrate(name) for name in MIGRATIONS))
        await asyncio.gather(*(self.start(name) for name in SERVICES))

    async def down(self) -> None:
        """Removes all pods; the network stays, with nobody in it. Idempotent."""
        names = (await self._podman("pod", "ls", "--format", "{{.Name}}", "--filter", "name=^parley-")).split()
        await asyncio.gather(*(self._keep_logs(name) for name in names))
        await asyncio.gather(*(self._remove(name) for name in names))
        self.pods.clear()

    async def start(self, name: str, replica: int = 1) -> str:
        """A pod of the workload, once it is ready; returns its address. Raises StartError."""
        address = await self._play(name, f"parley-{name}-{replica}")
        await self._until_ready(f"{name}-{replica}", _probe(name, address))
        self.say(f"{name}-{replica} is ready at {address}")
        return address

    async def stop(self, name: str, replica: int = 1) -> None:
        """Ends a pod as the kubelet does: preStop, SIGTERM, and the grace period for both."""
        pod = f"parley-{name}-{replica}"
        spec = transform.workload(self.objects, name)["spec"]["template"]["spec"]
        began_s = time.monotonic()
        for container, command in transform.pre_stop(spec):
            await self._podman("exec", f"{pod}-{container}", *command)
        left_s = spec.get("terminationGracePeriodSeconds", 30) - (time.monotonic() - began_s)
        # What a kubelet leaves at least.
        grace = str(max(2, round(left_s)))
        # Not `pod stop`: podman 4.3 ends the pod's network with the first container, and what drains cannot speak.
        containers = (await self._podman("ps", "--format", "{{.Names}}", "--filter", f"pod={pod}")).split()
        await self._podman("stop", "--time", grace, *(name for name in containers if not name.endswith("-infra")))
        await self._keep_logs(pod)
        await self._remove(pod)
        del self.pods[pod]

    def address(self, name: str, replica: int = 1) -> str:
        """Where the pod is."""
        return self.pods[f"parley-{name}-{replica}"]

    def future_address(self, name: str, replica: int) -> str:
        """Where the pod is or will be: clients that know no other way need it before it runs."""
        pod = f"parley-{name}-{replica}"
        return self.pods.get(pod) or self._take(pod)

    async def _keep_logs(self, pod: str) -> None:
        """A pod's containers take what they wrote with them; a call that was lost is followed through all of them."""
        path = self.folder / "logs" / f"{pod}.log"
        with await asyncio.to_thread(path.open, "wb") as file:
            process = await self._spawn("pod", "logs", pod, stdout=file, stderr=file)
            await process.wait()

    def _prepare(self) -> None:
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        (self.folder / "containers.conf").write_text(CONTAINERS_CONF)
        for (namespace, name), values in self._secrets.items():
            folder = transform.SECRET_FILES / namespace / name
            folder.mkdir(parents=True, exist_ok=True)
            for key, value in values.items():
                # The containers' user reads them; nobody else gets into the folder above.
                (folder / key).write_text(value)
        transform.SECRET_FILES.chmod(0o711)

    async def _stores(self) -> None:
        setup = _POSTGRES.replace("exec", f"{_ALLOW} && exec")
        postgres = await self._beside("postgres", ("parley-postgres-rw",), ("sh", "-c", setup))
        await self._keep_bridge_address()
        kafka_names = ("parley-kafka-bootstrap", "parley-kafka-bootstrap.parley")
        listener = ("--listener-url", "tcp://0.0.0.0:9092", "--advertised-listener-url", f"tcp://{kafka_names[0]}:9092")
        kafka = await self._beside(
            "kafka", kafka_names, ("tansu", "broker", *listener, "--storage-engine", "memory://tansu/")
        )
        await self._until_ready("postgres", probes.postgres(f"postgresql://postgres@{postgres}/postgres"))
        await self._until_ready("kafka", probes.tcp(kafka, 9092))
        for (_, name), values in self._secrets.items():
            if "username" in values:
                role, password = values["username"], values["password"]
                statements = (f"CREATE ROLE {role} LOGIN PASSWORD '{password}'", f"CREATE DATABASE {role} OWNER {role}")
                for statement in statements:
                    await self._podman(
                        "exec", "parley-postgres-c", "psql", "-h", "/data", "-U", "postgres", "-c", statement
                    )
                self.say(f"database of {name}")
        await self._podman(
            "exec", "parley-kafka-c", "python", "-m", "deploy.k8s.podman.topics", f"{kafka_names[0]}:9092"
        )

    async def _keep_bridge_address(self) -> None:
        """Of itself a bridge takes the lowest hardware address of those in it. Any pod that comes or goes changes it at
        times, and what the others send to this machine is lost until they ask anew, half a minute later."""
        interface = (await self._podman("network", "inspect", "--format", "{{.NetworkInterface}}", NETWORK)).strip()
        await asyncio.to_thread(bridge.keep_address, interface)

    async def _beside(self, name: str, names: tuple[str, ...], command: tuple[str, ...]) -> str:
        """A store that the cluster's operators would bring; returns its address."""
        pod, address = f"parley-{name}", self._take(f"parley-{name}")
        network = ",".join([f"{NETWORK}:ip={address}", *(f"alias={one}" for one in names)])
        await self._podman("pod", "create", "--name", pod, "--network", network)
        options = ("--pod", pod, "--name", f"{pod}-c", "--tmpfs", "/data:rw,mode=1777", "--user", "10001:10001")
        await self._podman("run", "--detach", *options, BESIDE, *command)
        return address

    async def _migrate(self, name: str) -> None:
        pod = f"parley-{name}"
        await self._play(name, pod)
        status = (await self._podman("wait", f"{pod}-migrate")).strip()
        if status != "0":
            raise StartError(f"{name} ended with {status}:\n{await self._podman('logs', f'{pod}-migrate')}")
        await self._remove(pod)

    async def _play(self, name: str, pod: str) -> str:
        owner = transform.workload(self.objects, name)
        address = self._take(pod)
        manifest = transform.pod(self.objects, owner, pod, address, self._secrets, OVER)
        path = self.folder / f"{pod}.yaml"
        text = yaml.safe_dump(manifest).replace(DATABASE_TLS, "sslmode=disable")
        await asyncio.to_thread(_write_private, path, text)
        aliases = [f"alias={one}" for one in transform.names_of(self.objects, owner)]
        await self._podman("kube", "play", "--network", ",".join([f"{NETWORK}:ip={address}", *aliases]), str(path))
        return address

    async def left_behind(self) -> list[str]:
        """What `down` should have removed and is still there."""
        containers = await self._podman("ps", "--all", "--format", "{{.Names}}", "--filter", "name=^parley-")
        pods = await self._podman("pod", "ls", "--format", "{{.Name}}", "--filter", "name=^parley-")
        processes = await asyncio.to_thread(_monitors)
        return [*containers.split(), *pods.split(), *await self._volumes("parley"), *processes]

    async def _remove(self, pod: str) -> None:
        for attempt in range(REMOVALS + 1):
            with contextlib.suppress(StartError) if attempt < REMOVALS else contextlib.nullcontext():
                await self._podman("pod", "rm", "--force", "--time", "1", pod)
                break
        for volume in await self._volumes(pod):
            await self._podman("volume", "rm", volume)

    async def _volumes(self, prefix: str) -> list[str]:
        return (await self._podman("volume", "ls", "--quiet", "--filter", f"name=^{prefix}-")).split()

    def _take(self, pod: str) -> str:
        if pod in self.pods:
            return self.pods[pod]
        self.pods[pod] = _ADDRESS.format(self._next)
        self._next += 1
        return self.pods[pod]

    async def _until_ready(self, name: str, ready: Callable[[], Awaitable[bool]]) -> None:
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                while not await ready():  # noqa: ASYNC110 - another process cannot set an event of ours
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise StartError(f"{name} was not ready within {READY_WITHIN_S:.0f} s") from None

    async def _spawn(self, *arguments: str, stdout: int | BinaryIO, stderr: int | BinaryIO) -> Process:
        env = {**os.environ, "CONTAINERS_CONF": str(self.folder / "containers.conf")}
        return await asyncio.create_subprocess_exec("podman", *arguments, stdout=stdout, stderr=stderr, env=env)

    async def _podman(self, *arguments: str) -> str:
        process = await self._spawn(*arguments, stdout=PIPE, stderr=PIPE)
        out, err = await process.communicate()
        if process.returncode:
            raise StartError(f"podman {' '.join(arguments[:3])} failed: {err.decode(errors='replace')[-1500:]}")
        return out.decode(errors="replace")


def _probe(name: str, address: str) -> Callable[[], Awaitable[bool]]:
    match name:
        case "issuer" | "objects":
            return probes.http(f"http://{address}:8080/healthz")
        case "edge":
            return probes.http(f"http://{address}:9100/ready")
        case _:
            return probes.grpc_ready(f"{address}:7000")


def _monitors() -> list[str]:
    """The processes that hold our containers."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if words[0].endswith(b"/conmon") and any(word.startswith(b"parley-") for word in words):
                found.append(f"process {path.parent.name}")
    return found


def _write_private(path: Path, text: str) -> None:
    """The environment in it holds keys."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
