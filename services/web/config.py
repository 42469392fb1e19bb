"""Configuration of web: PARLEY_HTTP_ADDRESS, PARLEY_WEB_ROOT, and what every process has."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.runtime.config import EnvReader, ProcessConfig


@dataclass(frozen=True)
class Config:
    """Where to listen, and the folder of the built client."""

    process: ProcessConfig
    http_address: str
    web_root: Path

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Config":
        """Read and check the environment. Raises ConfigError with all faults."""
        reader = EnvReader(env)
        config = cls(
            process=ProcessConfig.read(reader),
            http_address=reader.address("PARLEY_HTTP_ADDRESS", "0.0.0.0:8080"),
            web_root=Path(reader.text("PARLEY_WEB_ROOT", "build/web")),
        )
        if not (config.web_root / "index.html").is_file():
            reader.problem(f"PARLEY_WEB_ROOT has no index.html ({config.web_root}): `make web` builds the client")
        reader.finish()
        return config
