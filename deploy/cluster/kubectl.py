"""kubectl, as the cluster's administrator."""

from __future__ import annotations

import asyncio
import json
import os
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from deploy.cluster.errors import KubectlError
from deploy.cluster.layout import Layout
from deploy.k8s.objects import Object

# Of what one line of an error may show.
_SHOWN = 2000


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    status: int
    out: str
    err: str

    def warnings(self) -> list[str]:
        """What the server warned of."""
        return [line for line in self.err.splitlines() if line.startswith("Warning:")]


class Kubectl:
    """Runs commands on the cluster of a layout."""

    def __init__(self, layout: Layout) -> None:
        way = [] if layout.cable else layout.inside
        self._command = [*way, layout.program("kubectl"), f"--kubeconfig={layout.kubeconfig()}"]
        # Nothing of it in anybody's home.
        self._env = {**os.environ, "KUBECACHEDIR": str(layout.run / "kubectl-cache"), "HOME": str(layout.run)}
        self._env.pop("KUBECONFIG", None)

    async def ask(self, *words: str, stdin: str = "") -> Result:
        """Runs it, however it ends."""
        process = await asyncio.create_subprocess_exec(
            *self._command, *words, stdin=PIPE if stdin else DEVNULL, stdout=PIPE, stderr=PIPE, env=self._env
        )
        out, err = await process.communicate(stdin.encode() if stdin else None)
        return Result(process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace"))

    async def run(self, *words: str, stdin: str = "") -> str:
        """What it printed. Raises KubectlError."""
        result = await self.ask(*words, stdin=stdin)
        if result.status:
            raise KubectlError(f"kubectl {' '.join(words)}: {result.err.strip()[:_SHOWN]}")
        return result.out

    async def get(self, *words: str) -> Any:
        """An object, or the items of a list. Raises KubectlError."""
        found = json.loads(await self.run("get", *words, "-o", "json"))
        return found["items"] if found["kind"].endswith("List") else found

    @asynccontextmanager
    async def running(self, *words: str) -> AsyncIterator[AsyncIterator[str]]:
        """A command that goes on for the length of the block: the lines that it prints."""
        process = await asyncio.create_subprocess_exec(
            *self._command, *words, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env=self._env
        )
        assert process.stdout is not None, "it was asked for"
        try:
            yield (line.decode(errors="replace") async for line in process.stdout)
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()

    async def apply(self, objects: Sequence[Object], *words: str) -> str:
        """Applies them. Raises KubectlError."""
        return await self.run("apply", *words, "-f", "-", stdin=listed(objects))


def listed(objects: Sequence[Object]) -> str:
    """As kubectl reads them. JSON: definitions of the operators' kinds have thirty thousand lines of YAML."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [*objects]})
