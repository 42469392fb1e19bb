"""`python -m loadtests.sfu_media.instrumented_worker FD`: a worker of services.sfu that may be asked and sampled.

Each line that comes over the socket FD is answered with one of JSON: what is alive in the process now.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import socket
import sys
from pathlib import Path

from services.runtime.clock import Clock
from services.runtime.kafka.bus import Publisher
from services.runtime.lifecycle import main
from services.sfu import wiring
from services.sfu.config import Config
from services.sfu.wiring import Services
from services.sfu.worker import MediaWorker

_MIB = 1 << 20
# linux/prctl.h: Yama lets only ancestors trace a process, unless that says otherwise.
_PR_SET_PTRACER, _PR_SET_PTRACER_ANY = 0x59616D61, ctypes.c_ulong(-1)


class _Mallinfo2(ctypes.Structure):
    """malloc.h of glibc 2.33."""

    _NAMES = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in _NAMES.split()]


def run() -> int:
    """The worker, until SIGTERM; its exit status."""
    socket_to_bench = socket.socket(fileno=int(sys.argv[1]))
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _PR_SET_PTRACER_ANY)
    answering: list[asyncio.Task[None]] = []
    build_services = wiring.build_services

    def build_instrumented(config: Config, publisher: Publisher, clock: Clock) -> Services:
        services = build_services(config, publisher, clock)
        answering.append(asyncio.create_task(_answer(socket_to_bench, services.media)))
        return services

    # An App does not give its parts away, and only the media worker knows what it holds.
    wiring.build_services = build_instrumented
    return main("sfu", Config.from_env, wiring.build)


def vitals(media: MediaWorker) -> dict[str, float]:
    """What is alive once garbage is gone. MiB, counts of pymalloc's blocks and of objects that the collector sees."""
    gc.collect()
    blocks, objects = sys.getallocatedblocks(), len(gc.get_objects())
    return {
        "open_resources": media.open_resources,
        "objects": objects,
        "blocks": blocks,
        **_heap_mib(),
        "rss_mib": _rss_kib() / 1024,
    }


def _heap_mib() -> dict[str, float]:
    """Of malloc, all arenas: what is in use, and what was taken from the kernel. Nothing without glibc 2.33."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):
        return {}
    libc.mallinfo2.restype = _Mallinfo2
    info = libc.mallinfo2()
    return {
        "heap_in_use_mib": (info.uordblks + info.hblkhd) / _MIB,
        "heap_taken_mib": (info.arena + info.hblkhd) / _MIB,
    }


def _rss_kib() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


async def _answer(socket_to_bench: socket.socket, media: MediaWorker) -> None:
    reader, writer = await asyncio.open_connection(sock=socket_to_bench)
    while await reader.readline():
        writer.write(json.dumps(vitals(media)).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(run())
