"""Configuration of a pod of several workers: what each of them is told, made from what the pod is told."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.runtime.config import KafkaConfig, ProcessConfig, ServerConfig
from services.sfu.config import Config
from services.sfu.core.ids import Address, WorkerId

# What a worker may take beyond its waits before it is killed.
_STOP_MARGIN_S = 10.0


@dataclass(frozen=True)
class WorkerSpec:
    """One worker. `grpc_address` and `metrics_address` are where this machine reaches it; `env` is what it is told."""

    worker_id: WorkerId
    grpc_address: str
    metrics_address: str
    env: Mapping[str, str]


@dataclass(frozen=True)
class PodConfig:
    """What the pod needs to start its workers and to watch them."""

    process: ProcessConfig
    server: ServerConfig
    kafka: KafkaConfig
    workers: tuple[WorkerSpec, ...]
    stop_timeout_s: float

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "PodConfig":
        """Read and check the environment. Raises ConfigError with all faults."""
        config = Config.from_env(env)
        return cls(
            process=config.process,
            server=config.server,
            kafka=config.kafka,
            workers=tuple(_worker(index, config, env) for index in range(config.workers)),
            stop_timeout_s=config.drain_s + config.server.drain_delay_s + config.server.drain_grace_s + _STOP_MARGIN_S,
        )


def _worker(index: int, config: Config, env: Mapping[str, str]) -> WorkerSpec:
    worker_id = WorkerId(f"{config.node.worker_id}-{index}")
    grpc_address = _shifted(config.server.grpc_address, index + 1)
    metrics_address = _local(_shifted(config.process.metrics_address, index + 1))
    told = {
        "PARLEY_SFU_WORKERS": "1",
        "PARLEY_SFU_SUPERVISED": "true",
        "PARLEY_SFU_WORKER_ID": worker_id,
        "PARLEY_SFU_UDP_ADDRESS": _shifted(_joined(config.media.bind), index),
        "PARLEY_SFU_TCP_ADDRESS": _shifted(_joined(config.media.tcp), index),
        "PARLEY_GRPC_ADDRESS": grpc_address,
        "PARLEY_HEALTH_ADDRESS": _shifted(config.server.health_address, index + 1),
        "PARLEY_SFU_GRPC_ADVERTISED": _shifted(config.node.grpc_address, index + 1),
        "PARLEY_METRICS_ADDRESS": metrics_address,
    }
    return WorkerSpec(worker_id, _local(grpc_address), metrics_address, {**env, **told})


def _joined(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _shifted(address: str, by: int) -> str:
    """The address with its port raised; 0, which is any port, stays."""
    host, _, port = address.rpartition(":")
    return f"{host}:{int(port) + by if int(port) else 0}"


def _local(address: str) -> str:
    host, _, port = address.rpartition(":")
    return f"{'127.0.0.1' if host in ('0.0.0.0', '', '[::]', '::') else host}:{port}"  # noqa: S104 - replaced, not bound
