"""What is renewed without a restart: the edge's certificate, and the key of a program of the back office."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc

from deploy import server_keys
from deploy.certificates import Pem
from deploy.cluster import operators
from deploy.cluster.kubectl import Kubectl
from deploy.cluster.layout import EDGE_IP
from loadtests.cluster.place import Outcome, Place, judged, restarts, uids
from parley_client.server import ServerClient
from services.runtime.identity import scopes
from services.runtime.identity.server_keys import EVERYBODY

# A mounted Secret is renewed within the kubelet's period and what it remembers: about a minute and a half at the most.
_SEEN_WITHIN_S = 180.0
_NAME = "drill"
_ADMIN_PORT = 7001
_SECRET = "parley-server-keys"
_FORWARDING = re.compile(r"127\.0\.0\.1:(\d+)")


async def renewed(place: Place, outcome: Outcome) -> None:
    """Both at once, while two talk and two write."""
    watched = [await place.workload(name) for name in ("edge", "messaging")]
    before = [await place.pods(one) for one in watched]
    async with judged(place, outcome) as witnesses:
        witnesses.begin()
        certificate_s, (let_in_s, shut_out_s) = await asyncio.gather(_certificate(place), _server_key(place))
        outcome.figures |= await witnesses.look("secrets were renewed")
    after = [await place.pods(one) for one in watched]
    if [(uids(one), restarts(one)) for one in before] != [(uids(one), restarts(one)) for one in after]:
        outcome.errors.append("a pod was started anew for it")
    outcome.figures |= {"certificate_s": certificate_s, "key_let_in_s": let_in_s, "key_shut_out_s": shut_out_s}


async def _certificate(place: Place) -> float:
    """How long the edge showed the one before."""
    folder = place.layout.pki
    pem = Pem(folder / f"{operators.RENEWED}.crt", folder / f"{operators.RENEWED}.key")
    await place.kubectl.apply([operators.tls("parley", "edge-tls", pem)])
    wanted = ssl.PEM_cert_to_DER_cert(await asyncio.to_thread(pem.certificate.read_text))

    async def is_shown() -> bool:
        shown = await asyncio.to_thread(ssl.get_server_certificate, (EDGE_IP, 443))
        return ssl.PEM_cert_to_DER_cert(shown) == wanted

    return await place.until("the edge shows its new certificate", is_shown, _SEEN_WITHIN_S)


async def _server_key(place: Place) -> tuple[float, float]:
    """How long a new program was not believed, and how long it still was when its key had gone."""
    key = server_keys.new_key(_NAME, scopes.ALL, EVERYBODY)
    file = place.layout.run / "server-key.json"
    await asyncio.to_thread(_write, file, server_keys.document([key]))
    async with _forwarded(place) as address, ServerClient(address, file, _NAME) as client:

        async def is_believed() -> bool:
            try:
                await client.list_held_messages(page_size=1)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
                    raise
                return False
            return True

        async def is_not() -> bool:
            return not await is_believed()

        if await is_believed():
            raise AssertionError("a program was believed whose key nobody has")
        await _publish(place.kubectl, server_keys.document([server_keys.public_of(key)]))
        let_in_s = await place.until("the new program is believed", is_believed, _SEEN_WITHIN_S)
        await _publish(place.kubectl, server_keys.document([]))
        return let_in_s, await place.until("the program is shut out", is_not, _SEEN_WITHIN_S)


async def _publish(kubectl: Kubectl, document: str) -> None:
    patch = json.dumps({"stringData": {"public.json": document}})
    await kubectl.run("patch", "secret", _SECRET, "-n", "parley", "--type=merge", "-p", patch)


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


@asynccontextmanager
async def _forwarded(place: Place) -> AsyncIterator[str]:
    """The admin port of messaging, at an address of this machine."""
    async with place.kubectl.running("port-forward", "-n", "parley", "deploy/messaging", f":{_ADMIN_PORT}") as lines:
        async for line in lines:
            if match := _FORWARDING.search(line):
                yield f"127.0.0.1:{match[1]}"
                return
        raise AssertionError("kubectl port-forward ended")
