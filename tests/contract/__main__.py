"""python -m tests.contract --target http://127.0.0.1:8080 --driver 'COMMAND': what a client does, step by step.

Prints TAP (https://testanything.org): a line a step. Exit status 1 when one is not ok.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

from tests.contract.driver import CannotError, Driver, DriverError, RefusedError
from tests.contract.network import Person, Proxy
from tests.contract.steps import STEPS, BrokenError, Contract, Step

# What a step may raise: of the client under test, of its driver, and of Parley itself.
_FAULTS = (BrokenError, DriverError, RefusedError, OSError, KeyError, ValueError, TypeError, AttributeError, IndexError)


async def judge(contract: Contract, steps: Sequence[Step] = STEPS) -> int:
    """Goes through the steps, and gives how many were not ok. Without the first ones there is nothing to judge."""
    print(f"1..{len(steps)}", flush=True)
    broken = 0
    for number, step in enumerate(steps, 1):
        sentence = (step.__doc__ or step.__name__).strip()
        try:
            await step(contract)
        except CannotError as error:
            print(f"ok {number} - {sentence} # SKIP {error}", flush=True)
        except _FAULTS as error:
            broken += 1
            print(f"not ok {number} - {sentence}\n  # {type(error).__name__}: {error}", flush=True)
            if not contract.conversation:
                print("Bail out! Without a conversation there is nothing more to see.", flush=True)
                return broken
        else:
            print(f"ok {number} - {sentence}", flush=True)
    return broken


async def run(target: str, issuer: str, command: str, patience_s: float, away_s: float) -> int:
    """The whole contract, with people of this run's own."""
    parts = urlsplit(target)
    if parts.scheme != "http" or not parts.hostname:
        # The client's connections are broken on the way, which a certificate forbids.
        raise SystemExit(f"{target} is not an address such as http://127.0.0.1:8080")
    proxy = Proxy(parts.hostname, parts.port or 80)
    await proxy.start()
    some = secrets.token_hex(4)
    peer, me = (Person(target, issuer, f"{name}-{some}") for name in ("contract-peer", "contract-client"))
    driver = await Driver.begin(command, 2 * patience_s)
    try:
        contract = Contract(driver, peer, me, proxy, issuer, f"contract-{some}", patience_s, away_s)
        return await judge(contract)
    finally:
        await driver.end()
        await proxy.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.contract", description=__doc__)
    parser.add_argument("--target", default="http://127.0.0.1:8080", help="where Parley listens, in clear text")
    parser.add_argument("--issuer", default="", help="the development issuer; the target's own without it")
    parser.add_argument("--driver", required=True, help="the command that starts the driver of your client")
    parser.add_argument("--patience", type=float, default=30.0, help="seconds until a step is given up")
    parser.add_argument("--away", type=float, default=4.0, help="seconds for which nothing gets through to Parley")
    given = parser.parse_args(arguments)
    issuer = given.issuer or given.target
    return 1 if asyncio.run(run(given.target, issuer, given.driver, given.patience, given.away)) else 0


if __name__ == "__main__":
    sys.exit(main())
