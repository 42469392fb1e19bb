"""Configuration of push; `make docs` lists every variable, by the comments below."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.runtime.config import DatabaseConfig, KafkaConfig, ProcessConfig, ServerConfig
from services.runtime.env import EnvReader

DAY_S = 86_400.0


@dataclass(frozen=True)
class Config:
    """Everything that push takes from the environment."""

    process: ProcessConfig
    server: ServerConfig
    kafka: KafkaConfig
    database: DatabaseConfig
    # Messaging, which is asked how people keep their conversations.
    messaging_address: str
    # A JSON file with the providers and their keys (docs/operations/notifications.md). Read again when it changes.
    # Empty: no device is told anything.
    providers_file: str
    # PEM: who signs the certificates of providers, in place of the system's list: for a proxy, or for tests.
    ca_file: str
    # How long a provider has for its answer. Raising it lets one that hangs hold more of what waits for it; lowering it
    # cuts slow ones off, and then devices may be sent the same twice.
    timeout_s: float
    # How long a notice is tried. Raising it keeps more while a provider is away; lowering it makes dead letters, which
    # somebody must replay.
    retry_s: float
    # Requests to one provider at once, by each replica. Raising it empties a backlog sooner; lowering it spares the
    # database, which each of them asks twice.
    parallel: int
    # How long threads and reactions are remembered that do not change. Raising it takes more room; lowering it counts
    # less in the badge of who reads nothing for long.
    keep_days: float

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Config":
        """Read and check the environment. Raises ConfigError with all faults."""
        reader = EnvReader(env)
        config = cls(
            process=ProcessConfig.read(reader),
            server=ServerConfig.read(reader, calls=True, admin=True),
            kafka=KafkaConfig.read(reader),
            database=DatabaseConfig.read(reader),
            messaging_address=",".join(reader.addresses("PARLEY_MESSAGING_ADDRESS")),
            providers_file=reader.text("PARLEY_PUSH_PROVIDERS_FILE", ""),
            ca_file=reader.text("PARLEY_PUSH_CA_FILE", ""),
            timeout_s=reader.number("PARLEY_PUSH_TIMEOUT_S", 10, low=0.1, high=300),
            retry_s=reader.number("PARLEY_PUSH_RETRY_S", 21_600, low=0.01, high=30 * DAY_S),
            parallel=reader.integer("PARLEY_PUSH_PARALLEL", 32, low=1, high=1_000),
            keep_days=reader.number("PARLEY_PUSH_KEEP_DAYS", 30, low=0.001, high=3_650),
        )
        reader.finish()
        return config
