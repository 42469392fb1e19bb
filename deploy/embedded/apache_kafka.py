"""The Kafka broker: Apache Kafka, one node in KRaft mode, from Maven's jars. It keeps its data over runs."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from deploy.embedded import probes
from deploy.embedded.broker import create_topics
from deploy.embedded.errors import StartError
from deploy.embedded.process import READY_TIMEOUT_S, ProcessSpec
from deploy.embedded.record import ROOT
from deploy.embedded.topics import load_topics

JARS = ROOT / ".parley" / "kafka"
# Any fixed one serves: it only keeps the folder of another cluster from being taken for this one's.
CLUSTER_ID = "UGFybGV5LWVtYmVkZGVkMA"
JAVA_VERSION = 17
# Made for a start in a second and little memory, at the cost of throughput that one machine's stack does not need.
JAVA_OPTIONS = ("-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
# As long as the broker itself may take to start, which is Java too. Raising it finds one that hangs later; on a busy
# machine a shorter one is over each time before it is done.
FORMAT_TIMEOUT_S = READY_TIMEOUT_S

# What the services are told: the defaults are made for Apache Kafka.
CLIENT_SETTINGS: dict[str, str] = {}

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
controller.quorum.voters=1@{host}:{controller_port}
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# One node of one machine: fewer threads, and nothing that only tells other nodes that this one lives.
num.network.threads=1
num.io.threads=2
background.threads=1
group.coordinator.threads=1
share.coordinator.threads=1
metadata.max.idle.interval.ms=0
broker.heartbeat.interval.ms=5000
broker.session.timeout.ms=30000
"""


def missing() -> str | None:
    """What there is not that Apache Kafka asks for, in words; None when nothing is missing."""
    java = shutil.which("java")
    version = _java_version(java) if java else 0
    if version < JAVA_VERSION:
        return f"Java {JAVA_VERSION} or newer" + (f" (there is {version})" if version else "")
    return None if any(JARS.glob("kafka_*.jar")) else "its jars (`make kafka` brings them)"


def spec(folder: Path, host: str, port: int, controller_port: int) -> ProcessSpec:
    """The broker on that address, with its data in the folder and all topics. A folder without data is formatted."""
    java, lacking = shutil.which("java"), missing()
    if java is None or lacking:
        raise StartError(f"Apache Kafka cannot run here: there is no {lacking}.")
    folder.mkdir(parents=True, exist_ok=True)
    properties = folder / "server.properties"
    properties.write_text(
        _PROPERTIES.format(host=host, port=port, controller_port=controller_port, data=folder.absolute() / "data")
    )
    program = (java, *JAVA_OPTIONS, "-cp", f"{JARS}/*")

    async def make_data() -> None:
        if not (folder / "data" / "meta.properties").exists():
            tool = (*program, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(properties))
            await asyncio.to_thread(_format, tool)

    async def make_topics() -> None:
        await create_topics(f"{host}:{port}", load_topics())

    return ProcessSpec(
        name="broker",
        command=(*program, "kafka.Kafka", str(properties)),
        ready=probes.tcp(host, port),
        # Also where its disk was lost and another stands in its place: else it would never start again.
        before_start=make_data,
        after_ready=make_topics,
    )


@cache
def _java_version(java: str) -> int:
    """The major version; 0 when it does not say."""
    try:
        said = subprocess.run((java, "-version"), capture_output=True, text=True, timeout=FORMAT_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r'version "(\d+)', said.stderr)
    return int(found[1]) if found else 0


def _format(command: tuple[str, ...]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=FORMAT_TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise StartError(f"Apache Kafka could not format its folder:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
