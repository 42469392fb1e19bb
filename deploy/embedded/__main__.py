"""`python -m deploy.embedded run`: the stack in a terminal, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.embedded import apache_kafka
from deploy.embedded.compiling import compiled_meanwhile
from deploy.embedded.errors import SettingsError, StackError
from deploy.embedded.issuer import USERS
from deploy.embedded.record import DEFAULT_RECORD, ROOT, StackRecord
from deploy.embedded.settings import PARTS, StackSettings
from deploy.embedded.stack import Stack, running_stack

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 after an orderly end, 1 when a part could not start, 2 for a wrong setting."""
    options = _parse(arguments)
    try:
        settings = StackSettings(
            folder=options.folder,
            log_folder=options.log_folder or options.folder / "logs",
            parts=frozenset(options.parts.split(",")),
            replicas=_replicas(options.replicas),
            programs=dict(pair.split("=", 1) for pair in filter(None, options.programs.split(","))),
            part_env=_part_env(options.env),
            log_format=options.log_format,
            log_level=options.log_level,
        )
        asyncio.run(_run(settings, options.record, quiet=options.quiet))
    except StackError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


async def _run(settings: StackSettings, record_path: Path, *, quiet: bool) -> None:
    signals: asyncio.Queue[int] = asyncio.Queue()
    announced = asyncio.Event()
    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, signals.put_nowait, number)

    def publish(record: StackRecord) -> None:
        # Only once all runs: whoever finds the file may use the stack.
        if announced.is_set():
            record.write(record_path)

    stop_asked = asyncio.create_task(signals.get())
    async with contextlib.AsyncExitStack() as cleanup:
        entering = asyncio.create_task(
            cleanup.enter_async_context(
                running_stack(settings, console=None if quiet else sys.stdout, on_change=publish)
            )
        )
        await asyncio.wait({entering, stop_asked}, return_when=asyncio.FIRST_COMPLETED)
        if not entering.done():
            print("Stopping before everything has started.", flush=True)
            entering.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await entering
            return
        stack = entering.result()
        announced.set()
        publish(stack.record())
        cleanup.callback(record_path.unlink, missing_ok=True)
        _greet(stack.record(), settings)
        async with compiled_meanwhile(_say) if "sfu" in settings.parts and not quiet else contextlib.nullcontext():
            await stop_asked
        print("Stopping; once more Ctrl-C kills at once.", flush=True)
        await _stop(stack, signals)
    print("Stopped.", flush=True)


async def _stop(stack: Stack, signals: asyncio.Queue[int]) -> None:
    stopping = asyncio.create_task(stack.stop())
    second_signal = asyncio.create_task(signals.get())
    await asyncio.wait({stopping, second_signal}, return_when=asyncio.FIRST_COMPLETED)
    if not stopping.done():
        stopping.cancel()
        await asyncio.gather(stopping, return_exceptions=True)
        await stack.stop(timeout_s=0)
    second_signal.cancel()


def _say(text: str) -> None:
    print(f"  {text}", flush=True)


def _greet(record: StackRecord, settings: StackSettings) -> None:
    lacking = apache_kafka.missing()
    if settings.broker == "tansu" and lacking:
        _say(f"The broker is Tansu, which keeps nothing: for Apache Kafka there is no {lacking}.")
    if "edge" in settings.parts:
        first, second, *_ = USERS
        print(
            f"\n  Parley runs at {record.web_url}\n"
            f"  Log in as {first} in one browser and as {second} in another one (or in a private window).\n"
            f"  Logs: {settings.log_folder}   Ctrl-C stops everything.\n"
        )
    sys.stdout.flush()


def _replicas(text: str) -> dict[str, int]:
    """`presence=3,gateway=2` by service. Raises SettingsError."""
    replicas = {}
    for part in filter(None, text.split(",")):
        name, _, count = part.partition("=")
        if not count.isdecimal():
            raise SettingsError(f"--replicas has {part}, which is not <service>=<number>.")
        replicas[name] = int(count)
    return replicas


def _part_env(texts: Sequence[str]) -> dict[str, dict[str, str]]:
    """`broker:NAME=value` by part and name. Raises SettingsError."""
    env: dict[str, dict[str, str]] = {}
    for text in texts:
        part, _, pair = text.partition(":")
        name, equals, value = pair.partition("=")
        if not equals:
            raise SettingsError(f"--env has {text}, which is not <part>:<NAME>=<value>.")
        env.setdefault(part, {})[name] = value
    return env


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.embedded")
    run = parser.add_subparsers(required=True).add_parser("run", help="start the stack and keep it running")
    run.add_argument("--folder", type=Path, default=ROOT / ".parley" / "default", help="where the data is kept")
    run.add_argument("--log-folder", type=Path, default=None, help="default: logs in the folder of the data")
    run.add_argument("--record", type=Path, default=DEFAULT_RECORD, help="the file that tells others about the stack")
    run.add_argument("--parts", default=",".join(PARTS), help="only these, separated by commas")
    run.add_argument("--replicas", default="", help="more than one of a service, such as presence=3,gateway=2")
    run.add_argument("--programs", default="", help="modules to run in place of services, such as web=tests.my_web")
    run.add_argument("--env", action="append", default=[], help="a variable of one part alone, as broker:NAME=value")
    run.add_argument("--log-format", choices=("console", "json"), default="console")
    run.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    run.add_argument("--quiet", action="store_true", help="no logs on the console; they go to their files all the same")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
