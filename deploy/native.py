"""Compiles the SFU's media path with mypyc: python -m deploy.native FOLDER.

The sources stay what is written, typed and tested. FOLDER gets a copy of `services` with the compiled modules beside
them, which Python takes first: a process that starts in FOLDER runs those. Asks for a C compiler and Python's headers;
where they are missing it says so, and everything runs from the sources.
"""

from __future__ import annotations

import contextlib
import fcntl
import filecmp
import os
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any

from deploy.embedded.record import ROOT

BUILT = ROOT / "build" / "native"
# What a packet passes through. The rest of the SFU waits for others most of the time.
COMPILED = (
    *("core", "batch.py", "connection.py", "connections.py", "demux.py", "effects_runner.py", "egress.py"),
    *("ingress.py", "relay_cipher.py", "relay_legs.py", "srtp.py", "udp.py", "worker.py"),
)
_MARK = "compiled"
# mypy's and the C compiler's, kept so that the next time takes less.
_CACHE = ".cache"


def home(service: str, built: Path = BUILT) -> Path:
    """The folder that a service's process starts in: that of the compiled modules, if they are of today's sources."""
    return built if service == "sfu" and is_current(built) else ROOT


def is_current(built: Path = BUILT) -> bool:
    """Whether the compiled modules are there, and of today's sources."""
    folders = [ROOT / "services" / part for part in ("sfu", "runtime")]
    pairs = [(source, built / source.relative_to(ROOT)) for folder in folders for source in folder.rglob("*.py")]
    are_same = (copy.exists() and filecmp.cmp(source, copy, shallow=False) for source, copy in pairs)
    return (built / _MARK).exists() and all(are_same)


def compile_into(folder: Path) -> None:
    """Copies the services and compiles, unless that was done already; one process at a time.

    Raises SystemExit when mypyc or the C compiler refuses.
    """
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_current(folder):
            _compile(folder)


def _compile(folder: Path) -> None:
    # Here and not above: who only asks for `home` needs neither.
    from mypyc.build import mypycify
    from setuptools import setup

    (folder / _MARK).unlink(missing_ok=True)
    shutil.rmtree(folder / "services", ignore_errors=True)
    shutil.copytree(ROOT / "services", folder / "services", ignore=shutil.ignore_patterns("web", "__pycache__", "*.md"))
    with contextlib.chdir(folder):
        options = ["--config-file=", "--ignore-missing-imports", "--explicit-package-bases"]
        paths = [*options, f"--cache-dir={_CACHE}/mypy", *_modules()]
        # Any, because setuptools has two names for one class.
        extensions: Any = mypycify(paths, group_name="parley_sfu", target_dir=_CACHE, debug_level="0")
        arguments = ["--quiet", "build_ext", "--inplace", f"--build-temp={_CACHE}", f"--build-lib={_CACHE}/lib"]
        setup(name="parley-sfu", packages=[], py_modules=[], ext_modules=extensions, script_args=arguments)
    (folder / _MARK).touch()


def _modules() -> list[str]:
    paths = [Path("services/sfu") / name for name in COMPILED]
    files = [file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path])]
    return sorted(str(file) for file in files if file.name != "__init__.py")


def missing() -> str | None:
    """What there is not that compiling asks for; None when nothing is missing."""
    compiler = os.environ.get("CC") or str(sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        return f"no C compiler ({compiler})"
    header = Path(sysconfig.get_path("include")) / "Python.h"
    return None if header.exists() else "no headers of Python (Python.h)"


def main() -> int:
    """Gives the exit status: 0 as well when nothing can be compiled, unless CI=true."""
    folder = Path(sys.argv[1]).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    reason = missing()
    if reason is None:
        compile_into(folder)
        return 0
    print(f"The SFU will run from its sources, at half as much CPU again: {reason}.", file=sys.stderr)  # noqa: T201
    return int(os.environ.get("CI") == "true")


if __name__ == "__main__":
    sys.exit(main())
