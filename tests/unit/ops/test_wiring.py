from pathlib import Path

import pytest

from services.ops.config import Config
from services.ops.credentials import TokenFile
from services.ops.wiring import ASKED, main
from services.runtime.env import ConfigError


def test_a_command_needs_the_addresses_that_it_asks_and_no_others(tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("a.b.c\n")
    env = {"PARLEY_ADMIN_TOKEN_FILE": str(token_file), "PARLEY_SIGNALING_ADDRESSES": "a:1,b:2"}
    config = Config.from_env(env, ASKED["move-call"])
    assert (list(config.signaling), config.presence) == (["a:1", "b:2"], {})
    assert TokenFile(Path(config.token_file)).token("") == "a.b.c"
    with pytest.raises(ConfigError) as caught:
        Config.from_env(env, ASKED["sessions"])
    assert [problem.split()[0] for problem in caught.value.problems] == [
        "PARLEY_PRESENCE_ADDRESSES",
        "PARLEY_GATEWAY_ADDRESSES",
    ]


def test_a_stack_that_does_not_run_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drain-worker", "sfu-1", "--stack", str(tmp_path / "none.json")]) == 2
    assert "is not the record of a running stack" in capsys.readouterr().err


@pytest.mark.parametrize("command", ASKED)
def test_every_command_says_what_it_does(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert "usage: python -m services.ops" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["move-call"], ["drain-worker"], ["restart"]])
def test_a_command_line_without_meaning_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_what_is_no_time_is_said_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["replay-webhooks", "shop", "--since", "yesterday"])
    assert "'yesterday' is no time such as 2026-01-31T12:00:00Z" in capsys.readouterr().err
