"""How a stack is to be run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.embedded import apache_kafka
from deploy.embedded.errors import SettingsError
from deploy.embedded.record import ROOT

# In the order in which they start; what stands in one row starts side by side. The services wait for each other.
START_ORDER = (
    ("postgres", "broker", "issuer", "objects"),
    ("messaging", "presence", "gateway", "signaling", "webhooks", "push", "previews", "sfu", "web"),
    ("edge",),
)
PARTS = tuple(part for row in START_ORDER for part in row)
BROKERS = ("kafka", "tansu")
TLS = ("off", "mutual")
REPLICABLE = ("messaging", "presence", "gateway", "signaling", "webhooks", "push", "previews", "sfu")


@dataclass(frozen=True)
class StackSettings:
    """`folder` keeps the data over runs; `parts` limits the stack to some processes."""

    folder: Path
    log_folder: Path
    parts: frozenset[str] = frozenset(PARTS)
    # By service; one where nothing is said.
    replicas: Mapping[str, int] = field(default_factory=dict)
    # By service, what its processes run in place of services.<service>: a Python module with its arguments.
    programs: Mapping[str, str] = field(default_factory=dict)
    web_root: Path = ROOT / "build" / "web"
    log_format: str = "console"
    log_level: str = "info"
    # For the services, over what the stack gives them.
    env: Mapping[str, str] = field(default_factory=dict)
    # By part, for its processes alone: also for those that are not ours.
    part_env: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    # Which Kafka: Apache Kafka where it can run, else Tansu, which comes with the Python packages.
    broker: str = field(default_factory=lambda: os.environ.get("PARLEY_BROKER") or _default_broker())

    # Where PostgreSQL listens for the services, when not on its Unix socket. It asks nobody for a password there.
    postgres_host: str = field(default_factory=lambda: os.environ.get("PARLEY_POSTGRES_HOST", ""))

    # Between the processes of ours that speak gRPC.
    tls: str = field(default_factory=lambda: os.environ.get("PARLEY_TLS") or "off")

    def __post_init__(self) -> None:
        if self.broker not in BROKERS:
            raise SettingsError(f"PARLEY_BROKER is {self.broker!r}; it can be {' or '.join(BROKERS)}.")
        if self.tls not in TLS:
            raise SettingsError(f"PARLEY_TLS is {self.tls!r}; it can be {' or '.join(TLS)}.")
        unknown = sorted((self.parts | self.part_env.keys()) - set(PARTS))
        if unknown:
            raise SettingsError(f"There is no part {', '.join(unknown)}; the parts are {', '.join(PARTS)}.")
        wrong = [name for name, count in self.replicas.items() if name not in REPLICABLE or count < 1]
        if wrong:
            raise SettingsError(f"Replicas of {', '.join(wrong)} are not possible.")

    @property
    def is_tls(self) -> bool:
        """Whether the processes speak mutual TLS."""
        return self.tls == "mutual"

    @property
    def is_apache(self) -> bool:
        """Whether the broker is Apache Kafka."""
        return self.broker == "kafka"

    def names(self, part: str) -> list[str]:
        """The names of the part's processes: its own, or numbered ones when there are several."""
        count = self.replicas.get(part, 1)
        return [part] if count == 1 else [f"{part}-{number}" for number in range(1, count + 1)]


def _default_broker() -> str:
    return "tansu" if apache_kafka.missing() else "kafka"
