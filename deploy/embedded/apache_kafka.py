"""The Kafka broker: Apache Kafka, one node in KRaft mode, from Maven's jars. It keeps its data over runs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from deploy.embedded import probes
from deploy.embedded.broker import create_topics
from deploy.embedded.errors import StartError
from deploy.embedded.process import ProcessSpec
from deploy.embedded.record import ROOT
from deploy.embedded.topics import load_topics

JARS = ROOT / ".parley" / "kafka"
# Any fixed one serves: it only keeps the folder of another cluster from being taken for this one's.
CLUSTER_ID = "UGFybGV5LWVtYmVkZGVkMA"
# More starts faster and is slower later: a broker of tests lives for minutes.
JAVA_OPTIONS = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
FORMAT_TIMEOUT_S = 60.0

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
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
"""


def spec(folder: Path, host: str, port: int, controller_port: int) -> ProcessSpec:
    """The broker on that address, with its data in the folder and all topics. Blocks while it formats a new folder."""
    java = shutil.which("java")
    if java is None or not any(JARS.glob("kafka_*.jar")):
        raise StartError("Apache Kafka needs Java 17 and its jars: run `make kafka`.")
    folder.mkdir(parents=True, exist_ok=True)
    properties = folder / "server.properties"
    properties.write_text(
        _PROPERTIES.format(host=host, port=port, controller_port=controller_port, data=folder.absolute() / "data")
    )
    program = (java, *JAVA_OPTIONS, "-cp", f"{JARS}/*")
    if not (folder / "data" / "meta.properties").exists():
        _format((*program, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(properties)))

    async def make_topics() -> None:
        await create_topics(f"{host}:{port}", load_topics())

    return ProcessSpec(
        name="broker",
        command=(*program, "kafka.Kafka", str(properties)),
        ready=probes.tcp(host, port),
        after_ready=make_topics,
    )


def _format(command: tuple[str, ...]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=FORMAT_TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise StartError(f"Apache Kafka could not format its folder:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
