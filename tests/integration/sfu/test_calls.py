"""Calls between real peers."""

from parley.calls.v1 import events_pb2 as calls_events

from tests.integration.sfu.conftest import Client, RunningWorker, until


async def test_two_peers_see_and_hear_each_other(worker: RunningWorker) -> None:
    ann, bob = Client("ann", grey=60), Client("bob", grey=200)
    await ann.join(worker)
    await bob.join(worker)
    await until(lambda: ann.sees(200) and bob.sees(60), "both see the other's picture")
    await until(lambda: ann.hears() and bob.hears(), "both hear the other's tone")
    connected = [event.media_connected.user_id for event in worker.publisher.call_events()]
    assert sorted(connected) == ["ann", "bob"]
    await ann.close()
    await bob.close()
    await until(lambda: worker.services.media.open_resources == 0, "the worker has forgotten both")
    last = worker.publisher.call_events()[-1].media_disconnected
    assert last.reason == calls_events.MEDIA_DISCONNECT_REASON_CLOSED
