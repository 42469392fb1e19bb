"""The SFU's own process for a bench: `python -m services.sfu`, and what it uses of the machine."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy import identities, native
from services.runtime.grpc.channels import connect
from services.runtime.identity.auth import ServiceTokens
from services.runtime.identity.service_keys import ServiceKeys

WORKER_ID = "bench"
_START_S = 90.0


@dataclass(frozen=True)
class WorkerProcess:
    """A running worker. `keys` is the folder with those of all services."""

    pid: int
    address: str
    metrics_url: str
    keys: Path
    # Of an instrumented worker: our end of the socket that it answers on.
    questions: socket.socket

    def memory_kib(self) -> int:
        """Resident memory."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        return 0

    async def vitals(self) -> dict[str, float]:
        """What is alive in an instrumented worker, by name. Raises ConnectionError when it is gone."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self.questions, b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            piece = await loop.sock_recv(self.questions, 4096)
            if not piece:
                raise ConnectionError("the worker does not answer: it is not instrumented, or has ended")
            answer += piece
        found: dict[str, float] = json.loads(answer)
        return found

    def tokens(self) -> ServiceTokens:
        """Signaling's credentials for it."""
        return identities.tokens_of(self.keys, "signaling")

    def join_token(self, user: str, call: str) -> str:
        """What signaling makes."""
        claims = {
            "iss": "parley-signaling",
            "aud": "parley-sfu",
            "sub": user,
            "call": call,
            "device": "bench",
            "worker": WORKER_ID,
            "iat": int(time.time()),
            "exp": int(time.time()) + 300,
            "jti": user,
        }
        return ServiceKeys("signaling", str(self.keys / "public.json"), str(self.keys / "signaling.json")).sign(
            claims, "parley-join+jwt"
        )


@asynccontextmanager
async def run_worker(
    log: Path, *, kafka: Mapping[str, str] | None = None, is_instrumented: bool = False
) -> AsyncIterator[WorkerProcess]:
    """Starts a worker on free ports, ends it afterwards. Its log goes to `log`.

    `kafka`: what its environment says of a broker; there is none by default. `is_instrumented`: it may be asked and
    sampled.
    """
    address, metrics = (f"127.0.0.1:{_free_port()}" for _ in range(2))
    keys = Path(tempfile.mkdtemp(prefix="parley-keys-"))
    identities.write(keys, identities.key_sets())
    env = {
        "PARLEY_GRPC_ADDRESS": address,
        "PARLEY_METRICS_ADDRESS": metrics,
        **identities.environment(keys, "sfu"),
        "PARLEY_KAFKA_BOOTSTRAP": f"127.0.0.1:{_free_port()}",
        "PARLEY_SFU_WORKERS": "1",
        "PARLEY_SFU_WORKER_ID": WORKER_ID,
        "PARLEY_SFU_UDP_ADDRESS": "127.0.0.1:0",
        "PARLEY_SFU_PUBLIC_IP": "127.0.0.1",
        "PARLEY_SFU_GRPC_ADVERTISED": address,
        "PARLEY_SFU_MAX_PARTICIPANTS": "5000",
        "PARLEY_SFU_DRAIN_S": "0",
        # A broker that is away is a warning twice a second.
        "PARLEY_LOG_LEVEL": "error",
        **(kafka or {}),
    }
    questions, answers = socket.socketpair()
    questions.setblocking(False)
    module = (
        ("loadtests.sfu_media.instrumented_worker", str(answers.fileno())) if is_instrumented else ("services.sfu",)
    )
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out, answers:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *module),
            env=os.environ | env,
            cwd=native.home("sfu"),
            stdout=out,
            stderr=out,
            pass_fds=(answers.fileno(),) if is_instrumented else (),
        )
    worker = WorkerProcess(process.pid, address, f"http://{metrics}/metrics", keys, questions)
    try:
        async with connect(address, worker.tokens()) as channel:
            check = health_pb2.HealthCheckRequest(service="liveness")
            await health_pb2_grpc.HealthStub(channel).Check(check, timeout=_START_S, wait_for_ready=True)
        yield worker
    finally:
        shutil.rmtree(keys, ignore_errors=True)
        questions.close()
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
