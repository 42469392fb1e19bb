"""Configuration of previews; `make docs` lists every variable, by the comments below."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.previews.core.networks import IpNetwork, read_network
from services.runtime.config import ProcessConfig, ServerConfig
from services.runtime.env import EnvReader

USER_AGENT = "ParleyLinkPreviews/1.0"


@dataclass(frozen=True)
class Config:
    """Everything that previews take from the environment."""

    process: ProcessConfig
    server: ServerConfig
    # Whether this installation asks foreign hosts for previews of links. `false`: no host is asked, and devices are
    # told so (PREVIEWS_OFF).
    enabled: bool
    # How hosts know who asks. A site that is asked much wants to find out whom to write to, so name an address.
    user_agent: str
    # Of one preview, all redirections included. Raising it finds slow pages and keeps people waiting; lowering it does
    # without them.
    timeout_s: float
    # Fetches at once, of all users of this replica. Raising it takes more memory, some 2 MiB each at worst; lowering it
    # refuses people earlier.
    parallel: int
    # Networks of your own whose addresses are public by their numbers, such as `192.0.2.0/24,2001:db8::/32`: those of
    # nodes, pods and services, and the prefix of your NAT64. No host in them is asked.
    own_networks: tuple[IpNetwork, ...]

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Config":
        """Read and check the environment. Raises ConfigError with all faults."""
        reader = EnvReader(env)
        config = cls(
            process=ProcessConfig.read(reader),
            server=ServerConfig.read(reader),
            enabled=reader.boolean("PARLEY_PREVIEWS_ENABLED", True),
            user_agent=reader.text("PARLEY_PREVIEWS_USER_AGENT", USER_AGENT),
            timeout_s=reader.number("PARLEY_PREVIEWS_TIMEOUT_S", 5, low=0.5, high=9),
            parallel=reader.integer("PARLEY_PREVIEWS_PARALLEL", 64, low=1, high=1_000),
            own_networks=_networks(reader, reader.words("PARLEY_PREVIEWS_OWN_NETWORKS", ())),
        )
        if not config.user_agent.isascii() or not config.user_agent.isprintable():
            reader.problem("PARLEY_PREVIEWS_USER_AGENT is not of printable ASCII characters")
        reader.finish()
        return config


def _networks(reader: EnvReader, values: tuple[str, ...]) -> tuple[IpNetwork, ...]:
    found = {value: read_network(value) for value in values}
    for value, network in found.items():
        if network is None:
            reader.problem(f"PARLEY_PREVIEWS_OWN_NETWORKS has {value!r}, which is not a network such as 192.0.2.0/24")
    return tuple(network for network in found.values() if network)
