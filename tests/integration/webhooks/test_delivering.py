"""Deliveries to receivers that fail, hang, restart and refuse, on a real PostgreSQL."""

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from services.webhooks.core.attempts import RetryPolicy
from services.webhooks.core.model import ClaimId, DeliveryId, DeliveryState, EndpointName
from services.webhooks.ports import Erasure
from tests.integration.webhooks.conftest import Hooks, event, ids_of, key_of
from tests.support.waiting import eventually, until
from tests.support.webhook_receiver import Receiver, Request

NAME = EndpointName("bots")
KEYS = [f"conversation:{number}" for number in range(8)]


async def tell_all(hooks: Hooks, count: int, *, seed: int = 1) -> None:
    """So many events of each key; keys are mixed, their own order stands."""
    chance = random.Random(seed)
    left = {key: iter(range(count)) for key in KEYS}
    while left:
        batch = []
        for _ in range(chance.randint(1, 5)):
            if not left:
                break
            key = chance.choice(sorted(left))
            if (number := next(left[key], None)) is None:
                del left[key]
            else:
                batch.append(event(key, number))
        await hooks.tell(*batch)


async def all_taken(receiver: Receiver, count: int, keys: list[str] = KEYS) -> None:
    """Every event of every key has come, each key's in order."""
    await until(
        lambda: len({one.webhook_id for one in receiver.taken if key_of(one.said) in keys}) == count * len(keys),
        what="all deliveries",
        progress=lambda: len(receiver.taken),
    )
    for key in keys:
        assert receiver.first_times(key_of, key) == ids_of(key, count), key


async def test_a_receiver_that_fails_now_and_then_gets_all_of_a_key_in_order(hooks: Hooks) -> None:
    receiver = await hooks.receiver("bots")
    chance = random.Random(7)
    receiver.answer = lambda _: chance.choice((200, 200, 200, 500, 503, 400, 302))
    await hooks.sender()
    await tell_all(hooks, 12)
    await all_taken(receiver, 12)
    # An attempt after a failure has the id of the first.
    assert {one.webhook_id for one in receiver.came} == {one.webhook_id for one in receiver.taken}


async def test_nothing_is_left_when_all_is_delivered(hooks: Hooks) -> None:
    receiver = await hooks.receiver("bots")
    await hooks.sender()
    await tell_all(hooks, 3)
    await all_taken(receiver, 3)

    async def is_empty() -> bool:
        (state,) = await hooks.store.states([NAME])
        return state.due_in_s is None and state.oldest_time is None

    await eventually(is_empty, what="no key is left")
    await hooks.tell(event(KEYS[0], 3))
    await all_taken(receiver, 4, KEYS[:1])


async def test_an_endpoint_that_hangs_delays_only_itself(hooks: Hooks) -> None:
    hanging = await hooks.receiver("hanging")
    well = await hooks.receiver("well")
    hanging.answer = lambda _: 0
    await hooks.sender()
    await tell_all(hooks, 4)
    await all_taken(well, 4)
    assert not hanging.taken
    hanging.answer = lambda _: 200
    await all_taken(hanging, 4)


async def test_a_key_that_is_refused_holds_up_no_other(hooks: Hooks) -> None:
    receiver = await hooks.receiver("bots", parallel=2)
    receiver.answer = lambda request: 400 if key_of(request.said) == KEYS[0] else 200
    await hooks.sender()
    await tell_all(hooks, 3)
    await all_taken(receiver, 3, KEYS[1:])
    # Behind the one that is refused its key's later ones wait.
    assert {one.said["number"] for one in receiver.came if key_of(one.said) == KEYS[0]} == {0}


async def test_an_event_that_the_receiver_chokes_on_is_not_tried_with_each_success_of_others(hooks: Hooks) -> None:
    receiver = await hooks.receiver("bots")
    receiver.answer = lambda request: 500 if key_of(request.said) == KEYS[0] else 200
    await hooks.sender(RetryPolicy(86_400, most_backoff_s=3_600))
    await hooks.tell(event(KEYS[0], 0))
    for number in range(40):
        await hooks.tell(event(KEYS[1], number))
        await all_taken(receiver, number + 1, KEYS[1:2])
    # By its own waits of 1, 3, 9 … seconds; the others' 40 successes change nothing.
    assert len([one for one in receiver.came if key_of(one.said) == KEYS[0]]) < 15


async def test_after_a_restart_of_the_receiver_all_comes_at_once(hooks: Hooks) -> None:
    receiver = await hooks.receiver("bots", parallel=3)
    # Without the recovery the keys would wait for an hour.
    await hooks.sender(RetryPolicy(86_400, most_backoff_s=3_600))
    await receiver.stop()
    await tell_all(hooks, 3)

    async def has_failed() -> bool:
        (state,) = await hooks.store.states([NAME])
        return state.failing_since is not None

    await eventually(has_failed, what="the endpoint counts as failing")
    await receiver.start()
    await hooks.tell(event("conversation:fresh", 0))
    await all_taken(receiver, 3)
    assert not await has_failed()


async def test_an_endpoint_that_is_gone_is_left_alone_until_it_is_enabled(hooks: Hooks) -> None:
    receiver = await hooks.receiver("bots", parallel=1)
    receiver.answer = lambda _: 410
    # It is not given up either, though its time is over at once.
    await hooks.sender(RetryPolicy(give_up_after_s=0, most_backoff_s=0.01))
    await hooks.tell(event(KEYS[0], 0))

    async def is_disabled() -> bool:
        (state,) = await hooks.store.states([NAME])
        return state.disabled_url == receiver.url

    await eventually(is_disabled, what="the endpoint is disabled")
    receiver.answer = lambda _: 200
    await hooks.tell(event(KEYS[0], 1))
    assert not receiver.taken
    await hooks.operating().enable(NAME)
    await all_taken(receiver, 2, KEYS[:1])


async def test_an_endpoint_that_asks_for_a_pause_gets_it(hooks: Hooks) -> None:
    receiver = await hooks.receiver("bots", parallel=1)
    other = await hooks.receiver("other")
    receiver.answer = lambda _: 429
    receiver.headers = {"Retry-After": "3000"}
    await hooks.sender()
    await tell_all(hooks, 2)
    await all_taken(other, 2)
    await until(lambda: receiver.came, what="the one request")
    # Its other keys are not tried either.
    assert len(receiver.came) == 1


async def test_redirections_are_not_followed(hooks: Hooks) -> None:
    receiver = await hooks.receiver("bots")
    elsewhere = Receiver()
    await elsewhere.start()
    hooks.receivers.append(elsewhere)
    receiver.answer = lambda _: 200 if len(receiver.came) > 3 else 307
    receiver.headers = {"Location": elsewhere.url}
    await hooks.sender()
    await hooks.tell(event(KEYS[0], 0))
    await all_taken(receiver, 1, KEYS[:1])
    assert not elsewhere.came


async def test_an_answer_of_many_megabytes_is_an_answer(hooks: Hooks) -> None:
    receiver = await hooks.receiver("bots")
    receiver.body = b"x" * (8 * 1024 * 1024)
    await hooks.sender()
    await hooks.tell(event(KEYS[0], 0), event(KEYS[0], 1))
    await all_taken(receiver, 2, KEYS[:1])
    assert len(receiver.taken) == 2


async def test_what_is_given_up_can_be_replayed_by_time_in_its_order(hooks: Hooks) -> None:
    receiver = await hooks.receiver("bots")
    began = datetime.now(UTC)
    receiver.answer = lambda _: 400
    await hooks.sender(RetryPolicy(give_up_after_s=0, most_backoff_s=0.01))
    await hooks.tell(*(event(KEYS[0], number) for number in range(3)))
    operating = hooks.operating()

    async def are_dead() -> bool:
        return len(await operating.dead_letters(NAME, 10)) == 3

    await eventually(are_dead, what="three dead letters")
    letters = await operating.dead_letters(NAME, 10)
    assert [letter.webhook_id for letter in letters] == ids_of(KEYS[0], 3)[::-1]
    assert {letter.last_status for letter in letters} == {400}
    receiver.answer = lambda _: 200
    times = (began, datetime.now(UTC) + timedelta(seconds=1))
    assert await operating.replay(NAME, *times, DeliveryId(0), dead_only=True) == (3, None)
    await all_taken(receiver, 3, KEYS[:1])
    # Of another time there is nothing.
    earlier = (began - timedelta(days=2), began - timedelta(days=1))
    assert await operating.replay(NAME, *earlier, DeliveryId(0), dead_only=False) == (0, None)


async def test_what_was_delivered_can_be_replayed_with_its_id(hooks: Hooks) -> None:
    receiver = await hooks.receiver("bots")
    began = datetime.now(UTC)
    await hooks.sender()
    await hooks.tell(*(event(KEYS[0], number) for number in range(3)))
    await all_taken(receiver, 3, KEYS[:1])
    times = (began, datetime.now(UTC) + timedelta(seconds=1))

    async def has_replayed() -> bool:
        # The last one is settled after the receiver has it.
        return (await hooks.operating().replay(NAME, *times, DeliveryId(0), dead_only=False))[0] == 3

    await eventually(has_replayed, what="three deliveries wait again")
    await until(lambda: len(receiver.taken) >= 6, what="the replay")
    assert [one.webhook_id for one in receiver.taken[-3:]] == ids_of(KEYS[0], 3)


async def test_replicas_share_the_work_and_keep_the_order(hooks: Hooks) -> None:
    receiver = await hooks.receiver("bots", parallel=2)
    chance = random.Random(3)
    receiver.answer = lambda _: chance.choice((200, 200, 200, 500))
    for _ in range(3):
        await hooks.sender()
    await asyncio.gather(tell_all(hooks, 10), all_taken(receiver, 10))


async def test_a_sender_that_stalls_beyond_its_lease_does_not_speak_for_the_key_any_more(hooks: Hooks) -> None:
    receiver = await hooks.receiver("bots")
    await hooks.tell(event(KEYS[0], 0), event(KEYS[0], 1))
    # It claims, and is not heard of again.
    (stalled,) = await hooks.store.claim(NAME, 5, 0.0, ClaimId("stalled"))
    await hooks.sender()
    await all_taken(receiver, 2, KEYS[:1])
    await hooks.store.release(stalled)
    await hooks.tell(event(KEYS[0], 2))
    await all_taken(receiver, 3, KEYS[:1])


async def test_a_repeated_event_is_one_delivery(hooks: Hooks) -> None:
    receiver = await hooks.receiver("bots")
    await hooks.sender()
    for _ in range(3):
        await hooks.tell(event(KEYS[0], 0), event(KEYS[0], 1))
    await all_taken(receiver, 2, KEYS[:1])
    await hooks.tell(event("conversation:last", 0))
    await until(lambda: receiver.taken[-1].said["key"] == "conversation:last", what="the last")
    assert len(receiver.taken) == 3


async def test_a_secret_is_changed_without_a_request_that_is_not_believed(hooks: Hooks) -> None:
    receiver = await hooks.receiver("bots")
    await hooks.sender()
    (endpoint,) = hooks.endpoints
    other = "whsec_" + "bmV3" * 12
    rotation = [(endpoint.secrets[0], other), (other,)]
    await hooks.tell(event(KEYS[0], 0))
    await all_taken(receiver, 1, KEYS[:1])
    for number, secrets in enumerate(rotation, 1):
        hooks.endpoints[:] = [type(endpoint)(endpoint.name, endpoint.url, secrets, endpoint.events)]
        receiver.secret = secrets[-1]
        await hooks.tell(event(KEYS[0], number))
        await all_taken(receiver, number + 1, KEYS[:1])
        assert receiver.taken[-1].signatures == len(secrets)


async def test_contents_go_to_who_asked_and_are_erased_with_their_author_and_message(hooks: Hooks) -> None:
    told = await hooks.receiver("told", contents=True)
    bare = await hooks.receiver("bare")
    with_words = [
        event(KEYS[number], 0, author_id=author, message_id=message, body_with_contents=b'{"key":"k","words":"walrus"}')
        for number, (author, message) in enumerate([("alice", "m1"), ("alice", "m2"), ("bob", "m3"), ("bob", "m4")])
    ]
    await hooks.tell(*with_words)
    await hooks.tell(erasure=Erasure(author_ids=frozenset({"alice"}), message_ids=frozenset({"m3"})))
    await hooks.sender()
    for receiver in (told, bare):
        await until(lambda receiver=receiver: len(receiver.taken) == 4, what="all four")  # type: ignore[misc]
    words = [one.webhook_id for one in told.taken if "words" in one.said]
    assert words == [with_words[3].webhook_id]
    assert not any("words" in one.said for one in bare.taken)


async def test_who_may_be_told_no_contents_any_more_is_told_none_of_what_waits_or_is_replayed(hooks: Hooks) -> None:
    receiver = await hooks.receiver("bots", contents=True)
    began = datetime.now(UTC)
    await hooks.tell(event(KEYS[0], 0, body_with_contents=b'{"key":"k","words":"walrus"}'))
    hooks.endpoints[:] = [replace(hooks.endpoints[0], contents=False)]
    await hooks.sender()
    await until(lambda: receiver.taken, what="what waited")

    async def is_settled() -> bool:
        (state,) = await hooks.store.states([NAME])
        return state.oldest_time is None

    await eventually(is_settled, what="the delivery is settled")
    times = (began, datetime.now(UTC) + timedelta(seconds=1))
    await hooks.operating().replay(NAME, *times, DeliveryId(0), dead_only=False)
    await until(lambda: len(receiver.taken) == 2, what="the same once more")
    assert not any("words" in one.said for one in receiver.taken)


async def test_what_was_given_up_or_delivered_is_erased_too(hooks: Hooks) -> None:
    receiver = await hooks.receiver("bots", contents=True)
    began = datetime.now(UTC)
    receiver.answer = lambda request: 400 if key_of(request.said) == KEYS[0] else 200
    await hooks.sender(RetryPolicy(give_up_after_s=0, most_backoff_s=0.01))
    people: list[tuple[str, tuple[str, ...]]] = [("alice", ()), ("alice", ()), ("bob", ("alice",)), ("bob", ("carol",))]
    for key, (author, reactors) in zip(KEYS, people, strict=False):
        said = b'{"key":"%s","words":"walrus"}' % key.encode()
        await hooks.tell(event(key, 0, author_id=author, reactor_ids=reactors, message_id=key, body_with_contents=said))

    async def are_settled() -> bool:
        (state,) = await hooks.store.states([NAME])
        return state.oldest_time is None

    await eventually(are_settled, what="one is given up, and three are delivered")
    await hooks.tell(erasure=Erasure(author_ids=frozenset({"alice"})))
    receiver.answer, receiver.taken = (lambda _: 200), []
    times = (began, datetime.now(UTC) + timedelta(seconds=1))
    assert await hooks.operating().replay(NAME, *times, DeliveryId(0), dead_only=False) == (4, None)
    await until(lambda: len(receiver.taken) == 4, what="all four once more")
    assert [key_of(one.said) for one in receiver.taken if "words" in one.said] == KEYS[3:4]


async def test_a_replay_and_an_erasure_of_the_same_rows_do_not_wait_for_each_other(hooks: Hooks) -> None:
    await hooks.receiver("bots", contents=True)
    began = datetime.now(UTC)
    await hooks.tell(event(KEYS[0], 0, author_id="alice", body_with_contents=b"{}"))
    (claim,) = await hooks.store.claim(NAME, 1, 60.0, ClaimId("one"))
    delivery = await hooks.store.first(claim)
    assert delivery
    await hooks.store.settle(claim, delivery.id, DeliveryState.DELIVERED, 200, 60.0)
    await hooks.store.release(claim)
    times = (began, datetime.now(UTC) + timedelta(seconds=1))
    async with hooks.database.connection() as looking, hooks.database.transaction() as adding:
        # As `add` does: first the keys, then what is erased.
        await adding.execute("INSERT INTO queues (endpoint, order_key) VALUES ($1, $2)", NAME, KEYS[0])
        replaying = asyncio.create_task(hooks.operating().replay(NAME, *times, DeliveryId(0), dead_only=False))

        async def waits() -> bool:
            return bool(await looking.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

        await eventually(waits, what="the replay waits for the key")
        await adding.execute("UPDATE deliveries SET body_with_contents = NULL WHERE author_id = 'alice'")
    assert await replaying == (1, None)


async def test_what_was_kept_for_long_enough_goes(hooks: Hooks) -> None:
    receiver = await hooks.receiver("bots")
    await hooks.sender()
    await hooks.tell(event(KEYS[0], 0))
    await all_taken(receiver, 1, KEYS[:1])

    async def is_settled() -> bool:
        (state,) = await hooks.store.states([NAME])
        return state.oldest_time is None

    await eventually(is_settled, what="the delivery is settled")
    assert await hooks.store.purge(3_600, 10) == {}
    assert await hooks.store.purge(0, 10) == {DeliveryState.DELIVERED: 1}


async def test_a_sender_that_stops_gives_its_keys_back(hooks: Hooks) -> None:
    receiver = await hooks.receiver("bots")
    stopped = asyncio.Event()

    def answer(_: Request) -> int:
        stopped.set()
        return 200

    receiver.answer = answer
    first = await hooks.sender()
    await hooks.tell(*(event(KEYS[0], number) for number in range(30)))
    await stopped.wait()
    await first.stop()
    (state,) = await hooks.store.states([NAME])
    assert state.due_in_s is None or state.due_in_s <= 0
    await hooks.sender()
    await all_taken(receiver, 30, KEYS[:1])
    assert len(receiver.taken) == 30
