"""Coverage-guided: python -m tests.fuzz TARGET SECONDS. What it finds stands in build/fuzz/TARGET/.

An input that fails is written to build/fuzz/TARGET/crash-…: mend the reader, and put the file into
tests/fuzz/corpus/TARGET/ under a name that says what it was.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

from tests.fuzz import corpus

FOLDER = Path("build") / "fuzz"
MAX_BYTES = 4096
# Every so many inputs the work is counted, which is slow. Raising it hides costly inputs; lowering it takes fewer
# inputs a second.
COUNTED_EVERY = 16
# Readers alone are guided by; what else is imported would only slow it.
INSTRUMENTED = ["services", "aioice.stun", "jwt", "tests.fuzz.targets"]


def main() -> None:
    """Runs until the time is over or an input fails."""
    name, seconds = sys.argv[1], int(sys.argv[2])
    with atheris.instrument_imports(include=INSTRUMENTED):
        target = corpus.load(name)
    found = FOLDER / name
    found.mkdir(parents=True, exist_ok=True)
    for seed, data in target.seeds():
        (found / seed).write_bytes(data)
    run = 0

    def one(data: bytes) -> None:
        nonlocal run
        run += 1
        if run % COUNTED_EVERY:
            target.fuzz(data)
        else:
            target.count(data)

    options = [f"-max_total_time={seconds}", f"-max_len={MAX_BYTES}", f"-artifact_prefix={found}/", "-timeout=20"]
    atheris.Setup([sys.argv[0], *options, "-print_final_stats=1", str(found)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
