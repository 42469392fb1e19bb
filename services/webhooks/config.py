"""Configuration of webhooks; `make docs` lists every variable, by the comments below."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.runtime.config import DatabaseConfig, KafkaConfig, ProcessConfig, ServerConfig
from services.runtime.env import EnvReader

DAY_S = 86_400.0


@dataclass(frozen=True)
class Config:
    """Everything that webhooks takes from the environment."""

    process: ProcessConfig
    server: ServerConfig
    kafka: KafkaConfig
    database: DatabaseConfig
    # A JSON file with the endpoints and their secrets (docs/operations/webhooks.md). Read again when it changes. Empty:
    # nobody is told anything.
    endpoints_file: str
    # How long an endpoint has for its answer. Raising it lets one that hangs hold its own deliveries for longer, and
    # those of a killed replica wait longer; lowering it cuts slow ones off, which then get the event again.
    timeout_s: float
    # How long a delivery is tried. Raising it keeps more while a receiver is away; lowering it makes dead letters,
    # which somebody must replay.
    retry_days: float
    # The longest wait between two attempts. Raising it makes fewer attempts at what is away for long; lowering it
    # notices sooner that a key that was refused is taken again.
    most_backoff_s: float
    # How long deliveries are kept, for replays and for endpoints that are disabled. Raising it takes more room;
    # lowering it leaves less to replay. What waits for longer than this is lost.
    keep_days: float

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Config":
        """Read and check the environment. Raises ConfigError with all faults."""
        reader = EnvReader(env)
        config = cls(
            process=ProcessConfig.read(reader),
            server=ServerConfig.read(reader, public=False, admin=True),
            kafka=KafkaConfig.read(reader),
            database=DatabaseConfig.read(reader),
            endpoints_file=reader.text("PARLEY_WEBHOOKS_ENDPOINTS_FILE", ""),
            timeout_s=reader.number("PARLEY_WEBHOOKS_TIMEOUT_S", 15, low=0.1, high=300),
            retry_days=reader.number("PARLEY_WEBHOOKS_RETRY_DAYS", 3, low=0.00001, high=365),
            most_backoff_s=reader.number("PARLEY_WEBHOOKS_BACKOFF_S", 3_600, low=0.01, high=86_400),
            keep_days=reader.number("PARLEY_WEBHOOKS_KEEP_DAYS", 14, low=0.001, high=3_650),
        )
        if config.keep_days <= config.retry_days:
            reader.problem("PARLEY_WEBHOOKS_KEEP_DAYS is not longer than PARLEY_WEBHOOKS_RETRY_DAYS: nothing to replay")
        reader.finish()
        return config
