"""The sampler on programs that stand for py-spy."""

import sys
from pathlib import Path

from loadtests.sfu_media.attribution import ROUTING, SEND
from loadtests.sfu_media.profile import Sampler
from tests.support.waiting import poll

# Writes its samples down when it is told to stop, as py-spy does.
SAMPLES = f"""#!{sys.executable}
import pathlib, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
out = pathlib.Path(sys.argv[sys.argv.index("--output") + 1])
(out.parent / "samples").touch()
signal.sigwait([signal.SIGINT])
out.write_text("route (services/sfu/core/session/router.py) 3\\nsendmmsg (libc.so.6) 1\\npoll (libc.so.6) 9\\n")
"""
REFUSED = f"""#!{sys.executable}
import sys
sys.exit("Permission Denied: Try running again\\n with elevated permissions")
"""


def program(folder: Path, source: str) -> str:
    path = folder / "py-spy"
    path.write_text(source)
    path.chmod(0o755)
    return str(path)


def test_what_was_sampled_becomes_shares_with_their_number(tmp_path: Path) -> None:
    sampler = Sampler(1, tmp_path / "of" / "voice.folded", program(tmp_path, SAMPLES))
    with sampler:
        poll((tmp_path / "of" / "samples").exists, 20, lambda: "it does not sample")
    assert sampler.report == {"limits": {ROUTING: 0.75, SEND: 0.25}, "limits_samples": 4}


def test_a_sampler_that_may_not_attach_is_told_in_its_own_words(tmp_path: Path) -> None:
    # What an earlier run saw is not taken for this one's.
    folded = tmp_path / "voice.folded"
    folded.write_text("route (services/sfu/core/session/router.py) 3\n")
    with Sampler(1, folded, program(tmp_path, REFUSED)) as sampler:
        poll(lambda: "elevated" in folded.with_suffix(".log").read_text(), 20, lambda: "it says nothing")
    assert sampler.report["limits"] is None
    assert "Permission Denied: Try running again with elevated permissions" in sampler.report["limits_missing"]


def test_a_machine_without_py_spy_goes_without_shares(tmp_path: Path) -> None:
    with Sampler(1, tmp_path / "voice.folded", None) as sampler:
        pass
    assert sampler.report["limits"] is None
    assert "make setup" in sampler.report["limits_missing"]
