"""How far a run is, for whoever watches: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

_WIDTH = 24
# Where nobody watches. Raising it makes shorter logs; lowering it shows sooner what goes wrong.
_LINE_EVERY_S = 30.0


def text_of(said: Mapping[str, Any]) -> str:
    """One line. Pure."""
    phase = str(said.get("phase", ""))
    if "of" in said:
        return f"{bar(said['done'] / max(said['of'], 1))} {phase}: {said['done']} of {said['of']}"
    if "of_s" not in said:
        return phase
    left_s = max(said["of_s"] - said["at_s"], 0.0)
    parts = [f"{bar(said['at_s'] / max(said['of_s'], 1e-9))} {phase}, {_clock(left_s)} left"]
    parts += [f"{said[name]} {label}" for name, label in (("devices", "devices"), ("calls", "calls")) if name in said]
    parts += [f"{value} {name}" for name, value in said.get("counts", {}).items() if name == "messages"]
    late = ", ".join(f"{name} {value:.0f}" for name, value in said.get("p99_ms", {}).items())
    return ", ".join(parts) + (f"; p99 ms: {late}" if late else "")


def bar(share: float) -> str:
    """As wide whatever the share."""
    done = round(min(max(share, 0.0), 1.0) * _WIDTH)
    return f"[{'#' * done}{'.' * (_WIDTH - done)}] {min(max(share, 0.0), 1.0) * 100:3.0f} %"


class Progress:
    """Takes what generators say."""

    def __init__(self, title: str, out: TextIO = sys.stderr) -> None:
        self._title = title
        self._out = out
        self._is_terminal = out.isatty()
        self._said_s = 0.0
        self._phase = ""

    def __call__(self, said: Mapping[str, Any]) -> None:
        """Shows it, or keeps quiet when a line was written a moment ago."""
        text = f"{self._title}: {text_of(said)}"
        if self._is_terminal:
            print(f"\r\x1b[K{text}", end="", file=self._out, flush=True)
            return
        now_s = time.monotonic()
        if now_s - self._said_s >= _LINE_EVERY_S or said.get("phase") != self._phase:
            self._said_s, self._phase = now_s, said.get("phase", "")
            print(text, file=self._out, flush=True)

    def line(self, text: str) -> None:
        """Something that stays."""
        if self._is_terminal:
            print("\r\x1b[K", end="", file=self._out)
        print(f"{self._title}: {text}", file=self._out, flush=True)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
