"""Services open channels in grpc/channels.py of runtime alone, ports in grpc/server.py; each channel names its peer."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SERVICES = ROOT / "services"
THE_WAYS = [SERVICES / "runtime" / "grpc" / name for name in ("channels.py", "server.py")]
OPENS = {"insecure_channel", "secure_channel", "add_insecure_port", "add_secure_port", "intercept_channel"}


def past_the_way(source: str) -> Iterator[str]:
    """Each place that opens a channel or a port by itself, or calls `connect` without a peer."""
    tree = ast.parse(source)
    names = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "services.runtime.grpc.channels"
        for alias in node.names
        if alias.name == "connect"
    }
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) | ast.Name(id=name) | ast.alias(name=name) if name in OPENS:
                yield f"{getattr(node, 'lineno', 0)}: {name}"
            case ast.Constant(value=str(name)) if name in OPENS:
                yield f"{node.lineno}: {name} by its name"
            case ast.Attribute(value=ast.Name(id="channels"), attr="connect"):
                yield f"{node.lineno}: connect by another way than its name"
            case ast.Call(func=ast.Name(id=name)) if name in names:
                given = [*node.args[2:3], *(word.value for word in node.keywords if word.arg == "peer")]
                if not given or isinstance(given[0], ast.Constant):
                    yield f"{node.lineno}: {name} without a peer"


def test_the_services_open_channels_and_ports_in_the_one_way() -> None:
    sources = [path for path in SERVICES.rglob("*.py") if "node_modules" not in path.parts and path not in THE_WAYS]
    assert len(sources) > 100
    found = [f"{path.relative_to(ROOT)}:{place}" for path in sources for place in past_the_way(path.read_text())]
    assert found == []


IMPORT = "from services.runtime.grpc.channels import connect\n"


@pytest.mark.parametrize(
    "source",
    [
        "import grpc\ngrpc.aio.insecure_channel('a')",
        "from grpc.aio import insecure_channel as open\nopen('a')",
        "getattr(grpc.aio, 'insecure_channel')('a')",
        "server.add_insecure_port('a')",
        "grpc.aio.secure_channel('a', credentials)",
        IMPORT + "connect(address, tokens)",
        IMPORT + "connect(address, tokens, fresh=True)",
        IMPORT + "connect(address, tokens, None)",
        IMPORT + "connect(address, tokens, peer=None)",
        "from services.runtime.grpc.channels import connect as to\nto(address, tokens)",
        "from services.runtime.grpc import channels\nchannels.connect(address, tokens)",
    ],
)
def test_a_channel_past_the_way_is_found(source: str) -> None:
    assert list(past_the_way(source))


@pytest.mark.parametrize("call", ["connect(a, tokens, peer)", "connect(a, None, self._peer, fresh=True)"])
def test_a_channel_to_a_peer_is_left_alone(call: str) -> None:
    assert not list(past_the_way(IMPORT + call))
