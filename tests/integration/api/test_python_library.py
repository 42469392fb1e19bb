"""The built Python library in an empty environment: its quick start word for word, its README, and the bots of the
examples."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import server_keys
from deploy.docs.blocks import text_of
from deploy.embedded.record import ROOT, StackRecord
from loadtests.webhooks import endpoint
from tests.integration.api.conftest import Online, World, new_user, open_direct, send
from tests.integration.api.test_attachments import fetch
from tests.support.ports import free_port
from tests.support.quickstarts import (
    DOCUMENTED_EDGE,
    INSTALL_PATIENCE_S,
    environment,
    running,
    with_people,
)
from tests.support.waiting import until
from tests.support.webhook_receiver import SECRET

PAGE = "docs/start/python.md"
EXAMPLES = ROOT / "clients" / "python" / "examples"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the page's first commands make, outside of the repository."""
    folder = tmp_path_factory.mktemp("python-library")
    dist = folder / "dist"
    script = text_of(PAGE, "sh").replace("/tmp", str(folder)).replace("build/dist", str(dist))
    # Its set-up is done before tests run; this is what it does then, without the npm package.
    assert script.startswith("make dist\n")
    script = script.replace("make dist", f"deploy/setup/wheels {dist} protos clients/python")
    command = ("bash", "-euo", "pipefail", "-c", script)
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=INSTALL_PATIENCE_S, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return folder / "my-bot"


async def answers(user: Online, conversation_id: str, count: int) -> list[str | None]:
    """What others said to a user, once there is as much of it."""

    def said() -> list[str | None]:
        shown = user.stream.inbox.conversations.history(conversation_id).shown
        return [entry.text for entry in shown if entry.sender_id != user.user_id]

    await until(lambda: len(said()) >= count, what=f"{count} answers", progress=said)
    return said()


def test_the_quick_start_has_fifteen_lines() -> None:
    assert len(text_of(PAGE, "python").splitlines()) == 15


async def test_two_who_follow_the_quick_start_read_each_other(project: Path, record: StackRecord) -> None:
    people = {"alice": new_user(), "bob": new_user()}
    (project / "hello.py").write_text(text_of(PAGE, "python").replace(DOCUMENTED_EDGE, record.edge_address))
    first, second = (with_people(text_of(PAGE, "sh", number), people).split() for number in (1, 2))
    async with running(*first, where=project) as alices, running(*second, where=project) as bobs:
        await bobs.until_line(f"{people['alice']}: Hello from Python, {people['bob']}")
        await alices.until_line(f"{people['bob']}: Hello from Python, {people['alice']}")


async def said_by_the_readme(project: Path, record: StackRecord, number: int) -> list[str]:
    """What a program of the README prints, in the order of the page."""
    people = {name: new_user() for name in ("alice", "bob", "carol")}
    code = text_of("clients/python/README.md", "python", number).replace(DOCUMENTED_EDGE, record.edge_address)
    code = re.sub(r'"(alice|bob|carol)"', lambda name: f'"{people[name[1]]}"', code)
    (project / "readme.py").write_text(code)
    async with running("bin/python", "readme.py", where=project) as program:
        return (await program.until_end()).splitlines()


async def test_what_the_readme_shows_runs(project: Path, record: StackRecord) -> None:
    said = await said_by_the_readme(project, record, 0)
    assert said[1:] == ["['Hello, Bob']", "invalid_argument FIELD_INVALID text.text"]


async def test_what_the_readme_shows_of_files_stickers_and_forwarding_runs(project: Path, record: StackRecord) -> None:
    address, forwarded, sticker = await said_by_the_readme(project, record, 2)
    status, body, _ = await fetch("GET", address)
    assert (status, body[:4]) == (200, b"RIFF")
    assert forwarded == "not forwarded: {}"
    assert "https://stickers.example/parley/wave.svg" in sticker


async def test_a_bot_on_its_stream_answers_once_also_what_was_written_while_it_was_dead(
    project: Path, record: StackRecord, world: World
) -> None:
    alice, bot = await world.online(), new_user()
    conversation_id = await open_direct(alice.device, bot)
    (project / "echo.py").write_text((EXAMPLES / "echo_by_stream.py").read_text())
    command = ("bin/python", "echo.py", bot, f"http://{record.edge_address}")
    async with running(*command, where=project) as program:
        await program.until_line(f"{bot} listens")
        await send(alice.device, conversation_id, "one")
        assert await answers(alice, conversation_id, 1) == ["You said: one"]
        program.kill()
    await send(alice.device, conversation_id, "two")
    async with running(*command, where=project):
        assert await answers(alice, conversation_id, 2) == ["You said: one", "You said: two"]
        # What it was killed over comes before this one, if it comes again.
        await send(alice.device, conversation_id, "three")
        assert (await answers(alice, conversation_id, 3))[-1] == "You said: three"
        assert len(await answers(alice, conversation_id, 3)) == 3


async def test_a_bot_by_webhooks_answers_what_is_written_to_it_alone(
    record: StackRecord, world: World, tmp_path: Path
) -> None:
    alice, bob, bot = await world.online(), world.device(), new_user()
    port, key_file = free_port(), tmp_path / "echo.json"
    public = Path(record.server_keys_folder) / "public.json"
    made = [bot, "--scope", "messages:send", "--acts-as", bot, "--private", str(key_file), "--public", str(public)]
    assert server_keys.main(made) == 0
    env = {
        "BOT": bot,
        "WEBHOOK_SECRET": SECRET,
        "PARLEY": record.admin_addresses["messaging"],
        "KEY_FILE": str(key_file),
        "KEY_NAME": bot,
        "PORT": str(port),
        "PYTHONUNBUFFERED": "1",
    }
    told = {"url": f"http://127.0.0.1:{port}/", "secrets": [SECRET], "events": ["message.sent"]}
    told |= {"conversations": "direct", "contents": True}
    async with (
        running(sys.executable, str(EXAMPLES / "echo_by_webhook.py"), where=tmp_path, env=env) as program,
        endpoint(record.webhooks_file, told),
    ):
        await program.until_line("(Press CTRL+C to quit)")
        conversation_id = await open_direct(alice.device, bot)
        with_bob = await open_direct(alice.device, bob.user_id)
        await asyncio.gather(send(alice.device, with_bob, "psst"), send(alice.device, conversation_id, "one"))
        assert await answers(alice, conversation_id, 1) == ["You said: one"]
        await send(alice.device, conversation_id, "two")
        assert await answers(alice, conversation_id, 2) == ["You said: one", "You said: two"]
        assert await answers(alice, with_bob, 0) == []
