"""Keys of servers, the programs of the network's back office: `python -m deploy.server_keys --help`.

The private key goes to the server's own file and nowhere else. The public one goes into the set that Parley's services
read (PARLEY_SERVER_KEYS_FILE), which says what the server may do.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy import identities
from services.runtime.identity import scopes
from services.runtime.identity.server_keys import (
    ACTS_AS,
    CALLS,
    DEFAULT_CALLS_PER_MINUTE,
    EVERYBODY,
    OWNER,
    SCOPES,
    read_servers,
)
from services.runtime.identity.service_keys import OWNER as SERVICE

PUBLIC = identities.PUBLIC
# Of a stack on this machine, for trying.
DEMO = "demo"

Jwk = dict[str, Any]


def new_key(
    name: str, words: Iterable[str], acts_as: Sequence[str] | str = (), calls_per_minute: int | None = None
) -> Jwk:
    """A private JWK of a server, and what it may do. `acts_as` is EVERYBODY for every account."""
    key = {member: value for member, value in identities.new_key(name).items() if member != SERVICE}
    calls = {} if calls_per_minute is None else {CALLS: calls_per_minute}
    return {
        **key,
        OWNER: name,
        SCOPES: sorted(words),
        ACTS_AS: EVERYBODY if acts_as == EVERYBODY else [*acts_as],
        **calls,
    }


def public_of(key: Mapping[str, Any]) -> Jwk:
    """What the services are to know of a key."""
    return {member: value for member, value in key.items() if member != "d"}


def document(keys: Iterable[Mapping[str, Any]]) -> str:
    """The keys as a JWK set."""
    return json.dumps({"keys": [*keys]}, indent=1)


def keep(folder: Path) -> None:
    """The keys of a stack's folder. They are whoever's runs the stack, and stay; a new one has DEMO, who may do all."""
    if all((folder / f"{name}.json").exists() for name in (DEMO, PUBLIC)):
        return
    key = new_key(DEMO, scopes.ALL, EVERYBODY)
    identities.write(folder, {DEMO: document([key]), PUBLIC: document([public_of(key)])})


def add(public: Path, key: Mapping[str, Any]) -> None:
    """Add the public half of a key to a set, which may not be there yet. Raises ValueError for a faulty set or key."""
    known = json.loads(public.read_text())["keys"] if public.exists() else []
    text = document([*known, public_of(key)])
    read_servers(text)
    identities.write(public.parent, {public.stem: text})


def main(arguments: Sequence[str]) -> int:
    """Gives the exit status."""
    parser = argparse.ArgumentParser("deploy.server_keys", description="Makes a key for a server of the back office.")
    parser.add_argument("name", help="the server's name, such as support-bot: a-z, 0-9 and '-'")
    parser.add_argument(
        "--scope", action="append", required=True, choices=sorted(scopes.ALL), help="what it may do; repeat it"
    )
    parser.add_argument(
        "--acts-as",
        action="append",
        default=[],
        metavar="USER",
        help=f"an account it may act as; repeat it, or '{EVERYBODY}'",
    )
    parser.add_argument(
        "--calls-per-minute", type=int, help=f"of one replica; {DEFAULT_CALLS_PER_MINUTE} unless it is given"
    )
    parser.add_argument(
        "--private", type=Path, required=True, metavar="FILE", help="a new file, *.json, for the server"
    )
    parser.add_argument(
        "--public", type=Path, required=True, metavar="FILE", help="the services' set, *.json; added to"
    )
    options = parser.parse_args(arguments)
    acts_as = EVERYBODY if EVERYBODY in options.acts_as else options.acts_as
    key = new_key(options.name, set(options.scope), acts_as, options.calls_per_minute)
    if {options.private.suffix, options.public.suffix} != {".json"} or options.private.exists():
        parser.error("the files must end in .json, and the private one must not be there yet")
    try:
        read_servers(document([public_of(key)]))
        # The private one first: a public key of which nobody has the private one is of no use.
        identities.write(options.private.parent, {options.private.stem: document([key])})
        add(options.public, key)
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.stderr.write(f"server_keys: {error}\n")
        return 1
    sys.stdout.write(f"{key['kid']}: the private key is in {options.private}, the public one in {options.public}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
