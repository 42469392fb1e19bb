"""Configuration of messaging; every variable is listed in README.md."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.runtime.config import DatabaseConfig, EnvReader, KafkaConfig, ProcessConfig, ServerConfig


@dataclass(frozen=True)
class Config:
    """See README.md."""

    process: ProcessConfig
    server: ServerConfig
    database: DatabaseConfig
    kafka: KafkaConfig
    # Longest text, in code points. Higher: bigger rows and events. Lower: people's texts are refused.
    text_limit: int
    # Sends that may wait for a commit. Higher: longer waits under overload. Lower: earlier RESOURCE_EXHAUSTED.
    send_queue: int
    # People in a group. Higher: bigger events and more deliveries a message.
    group_members: int
    # How long after the sending a text can be edited, and how often.
    edit_window_s: int
    max_edits: int
    # Of a user. Higher: a spammer reaches more people. Lower: busy people are refused.
    new_conversations_per_day: int
    # Of a user, in Parley. Higher: longer lists to keep. Lower: who is harassed by many runs out.
    max_blocks: int
    # Of a user. Higher: more for the moderators to read. Lower: true ones are refused.
    reports_per_day: int

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Config":
        """Read and check the environment. Raises ConfigError with all faults."""
        reader = EnvReader(env)
        config = cls(
            process=ProcessConfig.read(reader),
            server=ServerConfig.read(reader),
            database=DatabaseConfig.read(reader),
            kafka=KafkaConfig.read(reader),
            text_limit=reader.integer("PARLEY_TEXT_LIMIT", 10_000, low=1, high=100_000),
            send_queue=reader.integer("PARLEY_SEND_QUEUE", 2_000, low=1, high=100_000),
            group_members=reader.integer("PARLEY_GROUP_MEMBERS", 256, low=2, high=10_000),
            edit_window_s=reader.integer("PARLEY_EDIT_WINDOW_S", 900, low=0, high=10_000_000),
            max_edits=reader.integer("PARLEY_MAX_EDITS", 5, low=0, high=1_000),
            new_conversations_per_day=reader.integer("PARLEY_NEW_CONVERSATIONS_PER_DAY", 500, low=1, high=1_000_000),
            max_blocks=reader.integer("PARLEY_MAX_BLOCKS", 10_000, low=1, high=1_000_000),
            reports_per_day=reader.integer("PARLEY_REPORTS_PER_DAY", 50, low=1, high=100_000),
        )
        reader.finish()
        return config
