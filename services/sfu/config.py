"""Configuration of the SFU; `make docs` lists every variable, by the comments below."""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.runtime.config import KafkaConfig, ProcessConfig, ServerConfig
from services.runtime.env import EnvReader
from services.sfu.core.ids import Address, WorkerId
from services.sfu.core.wire.codec_formats import DEFAULT_CODEC_ORDER

MAX_WORKERS = 64
VIDEO_CODECS = frozenset({"vp8", "vp9", "av1", "h264"})


@dataclass(frozen=True)
class MediaConfig:
    """Where the worker listens, and the addresses that clients reach it at; `public_ip6` is empty without IPv6."""

    bind: Address
    tcp: Address
    public_ip: str
    public_ip6: str


@dataclass(frozen=True)
class Node:
    """What a worker says of itself all its life."""

    # This worker's name, to which join tokens are bound. With several workers, the beginning of their names.
    worker_id: WorkerId
    # Where signaling reaches this worker, as it is announced.
    grpc_address: str
    # Where this worker is, as it is announced.
    region: str
    # Joins beyond this are refused. Raising it may overload a core; lowering it leaves seats unused.
    max_participants: int


@dataclass(frozen=True)
class Config:
    """Everything that an SFU worker takes from the environment."""

    process: ProcessConfig
    server: ServerConfig
    kafka: KafkaConfig
    media: MediaConfig
    node: Node
    # The codecs of video that are wanted, the best first: of those that all in a call decode, the first is taken.
    video_codecs: tuple[str, ...]
    # Processes of the pod, one a core. Raising it above the cores makes workers take turns; lowering it leaves cores
    # unused.
    workers: int
    # Set by the pod: this worker ends with the process that started it.
    is_supervised: bool
    # How long a stopping worker waits for its calls to go. Raising it makes stops slower where there is no other
    # worker; lowering it below signaling's PARLEY_HANDOFF_S and a few seconds cuts calls off.
    drain_s: float

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Config":
        """Read and check the environment. Raises ConfigError with all faults."""
        reader = EnvReader(env)
        config = cls(
            process=ProcessConfig.read(reader),
            server=ServerConfig.read(reader, public=False),
            kafka=KafkaConfig.read(reader),
            media=_read_media(reader),
            node=Node(
                worker_id=WorkerId(reader.text("PARLEY_SFU_WORKER_ID")),
                grpc_address=reader.address("PARLEY_SFU_GRPC_ADVERTISED"),
                region=reader.text("PARLEY_SFU_REGION", "default"),
                max_participants=reader.integer("PARLEY_SFU_MAX_PARTICIPANTS", 200, low=1, high=100_000),
            ),
            video_codecs=_read_codecs(reader),
            workers=_read_workers(reader),
            is_supervised=reader.boolean("PARLEY_SFU_SUPERVISED", False),
            drain_s=reader.number("PARLEY_SFU_DRAIN_S", 30, low=0, high=86_400),
        )
        reader.finish()
        return config


def wanted_workers(env: Mapping[str, str]) -> int:
    """How many processes the environment asks for; a faulty value counts as none given."""
    return _read_workers(EnvReader(env))


def _read_workers(reader: EnvReader) -> int:
    # Processes of the pod, one a core; the default is the cores that it may use. Raising it above them makes workers
    # take turns; lowering it leaves cores unused.
    return reader.integer("PARLEY_SFU_WORKERS", usable_cores(), low=1, high=MAX_WORKERS)


def usable_cores() -> int:
    """The cores that this process may run on."""
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, MAX_WORKERS)


def _read_codecs(reader: EnvReader) -> tuple[str, ...]:
    # The codecs of video that are wanted, the best first: the first that all in a call decode is taken (vp8, vp9, av1,
    # h264). vp9 or av1 before vp8 is to take less bandwidth, and more of the processors of those who send.
    text = reader.text("PARLEY_SFU_VIDEO_CODECS", ",".join(DEFAULT_CODEC_ORDER))
    names = tuple(name.strip().lower() for name in text.split(","))
    if len(set(names)) != len(names) or not set(names) <= VIDEO_CODECS:
        reader.problem(f"PARLEY_SFU_VIDEO_CODECS is {text!r}, not a list of {', '.join(sorted(VIDEO_CODECS))}")
    return names


def _read_media(reader: EnvReader) -> MediaConfig:
    # Where media is received. `[::]:7800` hears IPv6 as well.
    udp = reader.address("PARLEY_SFU_UDP_ADDRESS", "0.0.0.0:7800")
    media = MediaConfig(
        bind=_split(udp),
        # Where clients connect that can send no UDP.
        tcp=_split(reader.address("PARLEY_SFU_TCP_ADDRESS", udp)),
        public_ip=_read_public_ip(reader),
        # One more address for the candidates, of IPv6.
        public_ip6=reader.text("PARLEY_SFU_PUBLIC_IP6", ""),
    )
    _check_ip(reader, "PARLEY_SFU_PUBLIC_IP", media.public_ip)
    _check_ip(reader, "PARLEY_SFU_PUBLIC_IP6", media.public_ip6)
    if media.public_ip6 and ":" not in media.bind[0]:
        reader.problem(
            f"PARLEY_SFU_PUBLIC_IP6 needs a PARLEY_SFU_UDP_ADDRESS that hears IPv6, such as [::]:7800; it is {udp}"
        )
    return media


def _split(address: str) -> Address:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port) if port.isdigit() else 0


def _check_ip(reader: EnvReader, name: str, value: str) -> None:
    try:
        if value:
            ipaddress.ip_address(value)
    except ValueError:
        reader.problem(f"{name} is {value!r}, not an IP address")


def _read_public_ip(reader: EnvReader) -> str:
    # A file with the public address, in place of the variable; `python -m services.sfu.public_address host:port` writes
    # one with the help of a STUN server.
    path = reader.text("PARLEY_SFU_PUBLIC_IP_FILE", "")
    if not path:
        # The address that clients send media to, of either family.
        return reader.text("PARLEY_SFU_PUBLIC_IP")
    try:
        found = Path(path).read_text().strip()
    except OSError as error:
        reader.problem(f"PARLEY_SFU_PUBLIC_IP_FILE cannot be read: {error}")
        return ""
    if not found:
        reader.problem(f"PARLEY_SFU_PUBLIC_IP_FILE is empty: {path}")
    return found
