"""Configuration of web: where it listens, where the page and attachments are, and what every process has."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.runtime.config import ProcessConfig
from services.runtime.env import EnvReader

# It becomes part of a header.
ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-]+(:[0-9]+)?")


@dataclass(frozen=True)
class Config:
    """Where to listen, and the folder of the built client."""

    process: ProcessConfig
    # Where the page is served.
    http_address: str
    # The folder of the built client.
    web_root: Path
    # The object store as devices reach it, as for messaging; the page may speak to nobody else. Empty: none.
    objects_origin: str
    # Providers of stickers, by the hosts of their pictures, as for messaging; the page shows pictures of nobody else.
    # Empty: none.
    sticker_hosts: tuple[str, ...]

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Config":
        """Read and check the environment. Raises ConfigError with all faults."""
        reader = EnvReader(env)
        config = cls(
            process=ProcessConfig.read(reader),
            http_address=reader.address("PARLEY_HTTP_ADDRESS", "0.0.0.0:8080"),
            web_root=Path(reader.text("PARLEY_WEB_ROOT", "build/web")),
            objects_origin=reader.text("PARLEY_OBJECTS_PUBLIC_ENDPOINT", "").rstrip("/"),
            sticker_hosts=reader.hosts("PARLEY_STICKER_HOSTS", ()),
        )
        if not (config.web_root / "index.html").is_file():
            reader.problem(f"PARLEY_WEB_ROOT has no index.html ({config.web_root}): `make web` builds the client")
        if config.objects_origin and not ORIGIN.fullmatch(config.objects_origin):
            reader.problem(f"PARLEY_OBJECTS_PUBLIC_ENDPOINT is {config.objects_origin!r}, not an http or https origin")
        reader.finish()
        return config
