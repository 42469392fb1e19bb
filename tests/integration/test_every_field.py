"""The strangers' test, generated, for calls, presence and devices' streams: whoever is out of a call, a conversation or
a device is told of it what they are told of one that does not exist. New RPCs and fields are covered by being in the
protos; an RPC that users call and that no such test asks fails here."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from google.protobuf.message import Message

from services.runtime.identity.auth import UserToken
from services.runtime.identity.scopes import SCOPES
from services.signaling.core.errors import CallEnded, CallNotAllowed
from services.signaling.core.inputs import SetHand
from services.signaling.core.model import Call, CallId, ConversationId, UserId
from services.signaling.scheduled.core import Draft
from tests.integration.messaging import test_every_field as of_messaging
from tests.integration.push import test_strangers as of_push
from tests.support.client_rpcs import client_rpcs
from tests.support.filled_requests import Values, filled_requests
from tests.support.strangers import Findings, Questions, Told, ask_both, named_fields, request_of, told
from tests.support.three_services import SERVICES, TABLE, ThreeServices, device_of, token_of
from tests.support.waiting import until
from tests.unit.signaling.fakes import OTHER_WORKER, START

NOT_FOUND = [
    "CALL_NOT_FOUND",
    "CONVERSATION_NOT_FOUND",
    "JOIN_TOKEN_INVALID",
    "JOIN_LINK_NOT_FOUND",
    "SCHEDULED_CALL_NOT_FOUND",
]
# Of a link that the caller made a moment ago, or of what the caller planned.
OF_THE_MOMENT = ("link", "secret", "scheduled_call")
CALLS, KEYS, PRESENCE, STREAMS = (
    "parley.calls.v1.CallsService",
    "parley.keys.v1.DeviceKeysService",
    "parley.presence.v1.PresenceService",
    "parley.gateway.v1.GatewayService",
)
# Nothing there is anybody's.
OF_NOBODY = {"parley.previews.v1.PreviewsService"}
NOBODY, NO_DEVICE, NO_TOKEN = "nobody", "nobody-phone", "no.such.token"


@pytest.fixture
async def town(database_url: str, other_database_url: str) -> AsyncIterator[ThreeServices]:
    town = ThreeServices(database_url, other_database_url)
    await town.open()
    yield town
    await town.close()


def values_of(**named: Sequence[Any]) -> Values:
    """What requests may name, with what is given in place of it."""
    values: dict[str, Sequence[Any]] = {
        "call_id": ["x"],
        "conversation_id": ["x"],
        "user_id": [NOBODY, ""],
        "user_ids": [NOBODY],
        "device_id": [NO_DEVICE, "x"],
        "client_call_id": ["once", ""],
        "join_token": [NO_TOKEN, ""],
        "resume_token": ["", NO_TOKEN],
        "last_event_id": ["", f"{NO_TOKEN}.1"],
        "page_token": [""],
        "sdp_offer": ["offer", ""],
        "link_id": ["x"],
        "secret": ["x" * 32, ""],
        "ttl_s": [0, 60, 59],
        "scheduled_call_id": ["x"],
        "title": ["hello", ""],
        "seconds": [int(START.timestamp()) + 3_600, int(START.timestamp()), -1, 2**62],
        "nanos": [0, 1],
        "length_s": [1_800, 299],
        "reminder_s": [600, 0, 59],
        "version": [1],
        "epoch": [1],
        **{name: [b"\x04" + bytes(64), b""] for name in ("account_key", "signing_key", "kem_key")},
        "signature": [bytes(64), b""],
        **{name: [b"sealed", b""] for name in ("sealed_account_key", "sealed_key")},
        "position": [0, 1, 99],
        "time_zone": ["Europe/Berlin", "x"],
    }
    return values | named


async def ask_all(
    town: ThreeServices, findings: Findings, token: UserToken, questions: Questions, services: Sequence[str]
) -> None:
    """Ask every RPC of the services, and note what is told, and what presence replicas are."""
    for service in services:
        for method in SERVICES[service].methods:

            async def ask_as(request: Message, service: str = service, method: str = method.name) -> Told:
                since = len(town.world.presence.frames)
                answer = await told(partial(town.ask, service, method, token), request, TABLE, OF_THE_MOMENT)
                if service != PRESENCE:
                    return answer
                return Told(f"{answer.text} {await town.settled(token.user_id, request, since)}", answer.refused)

            await ask_both(findings, f"{token.user_id} {token.device_id}", method, questions, ask_as)


def about_call(
    town: ThreeServices, call: Call, join_token: str = "", link_id: str = "", scheduled_id: str = ""
) -> Questions:
    """A call with its conversation, a link to it and what is planned there, and others that do not exist."""
    return about(
        {
            "link_id": link_id or town.new_id(),
            "scheduled_call_id": scheduled_id or town.new_id(),
            "call_id": call.call_id,
            "conversation_id": call.conversation_id,
            "join_token": join_token or "no.other.token",
        },
        {
            "link_id": town.new_id(),
            "scheduled_call_id": town.new_id(),
            "call_id": town.new_id(),
            "conversation_id": town.new_id(),
            "join_token": NO_TOKEN,
        },
        user_id=[call.caller_id, NOBODY],
        user_ids=[call.caller_id],
    )


def about(there: Mapping[str, str], nowhere: Mapping[str, str], **both: Sequence[Any]) -> Questions:
    """Requests that name something, and the same that name what is not there."""

    def values(named: Mapping[str, str]) -> Values:
        extra = {"page_token": ["", named["call_id"]]} if "call_id" in named else {}
        return values_of(**both, **extra, **{name: [value, *values_of()[name]] for name, value in named.items()})

    return Questions(values(there), values(nowhere), NOT_FOUND, [(there[name], nowhere[name]) for name in there])


async def test_whoever_is_out_of_a_call_is_told_the_same_of_it_as_of_none(town: ThreeServices) -> None:
    conversation = await town.group("alice", "bob", "lee", "ned", "rae")
    await town.messaging.groups.remove_member(UserId("alice"), conversation, "rae")  # type: ignore[arg-type]
    group = await town.ring("alice", conversation)
    await town.enter(group, "bob", "lee")
    await town.calls.leave_call(group.call_id, UserId("lee"), device_of("lee"))
    await town.pair("alice", "bo")
    await town.block("alice", "bo")
    direct = await town.ring("carol", await town.pair("carol", "dave"))
    await town.enter(direct, "dave")
    ringing = await town.ring("erin", await town.pair("erin", "frank"))
    ended = await town.ring("hana", await town.pair("hana", "ivan"))
    await town.calls.cancel_call(ended.call_id, UserId("hana"))
    join_token = (await town.calls.access.renew_grant(direct.call_id, UserId("carol"), device_of("carol"))).join_token
    link, _ = await town.links.create_link(group.call_id, UserId("bob"), 0, "")
    draft = Draft("Friday", False, START + timedelta(hours=1), 1_800, 600)
    planned = await town.scheduled.schedule(UserId("alice"), ConversationId(conversation), draft, "")
    early, _ = await town.links.create_link(CallId(planned.scheduled_id), UserId("bob"), 0, "")
    for user_id in ("alice", "bob", "carol", "erin", "hana"):
        await town.publish_keys(user_id)
    findings = Findings()
    for user_id, call in (
        *(("mallory", call) for call in (group, direct, ringing, ended)),
        # Was removed before the call began; is blocked by who is in it; hung up, or was never in a call, next door.
        ("rae", group),
        ("bo", group),
        *(("lee", call) for call in (direct, ringing, ended)),
        ("ned", direct),
        ("bob", direct),
    ):
        link_id, scheduled_id = (link.link_id, planned.scheduled_id) if call is group else ("", "")
        questions = about_call(town, call, join_token if call is direct else "", link_id, scheduled_id)
        await ask_all(town, findings, token_of(user_id), questions, [CALLS, KEYS])
    findings.assert_none()
    findings = Findings()
    for user_id in ("mallory", "rae", "bo"):
        # Of a scheduled call before its time, what takes an id of either.
        there = {"call_id": planned.scheduled_id, "link_id": early.link_id, "scheduled_call_id": planned.scheduled_id}
        nowhere = {name: town.new_id() for name in there}
        await ask_all(town, findings, token_of(user_id), about(there, nowhere), [CALLS])
    # About the conversation nothing was asked there.
    findings.vain.clear()
    findings.assert_none()


async def test_who_is_in_a_call_learns_of_nobody_outside_and_of_no_device(town: ThreeServices) -> None:
    conversation = await town.group("alice", "bob")
    call = await town.ring("alice", conversation)
    await town.enter(call, "bob")
    await town.pair("mallory", "carol")
    for user_id in ("alice", "bob", "mallory"):
        await town.connect(user_id)
    named = {"call_id": [call.call_id], "conversation_id": [conversation]}
    findings = Findings()
    # The owner moderates; Bob may not.
    for user_id in ("alice", "bob"):
        people = about({"user_id": "mallory"}, {"user_id": NOBODY}, device_id=[device_of(user_id)], **named)
        people = Questions(
            people.there,
            people.nowhere,
            ["PARTICIPANT_NOT_FOUND", "NOT_ADMIN", "NOT_HOST", "JOIN_TOKEN", "JOIN_LINK"],
            people.same,
        )
        await ask_all(town, findings, token_of(user_id), people, [CALLS])
        assert findings.oracles == []
    findings.vain.clear()
    # With a token of another device of hers.
    devices = about({"device_id": device_of("alice")}, {"device_id": "alice-other"}, **named)
    await ask_all(town, findings, token_of("alice", "alice-tablet"), devices, [CALLS, PRESENCE, STREAMS])
    # Nothing is looked for here: it is there.
    findings.vain.clear()
    findings.assert_none()


async def test_whoever_is_out_learns_nothing_by_presence_typing_and_streams(town: ThreeServices) -> None:
    conversation = await town.group("alice", "bob", "rae")
    await town.pair("alice", "bo")
    streams = {user_id: await town.connect(user_id) for user_id in ("alice", "bo", "mallory", "rae")}
    for user_id in ("rae", "alice"):
        # So that it is remembered who is in.
        await town.world.gateway.set_typing(user_id, conversation, True)
    (session_id,) = town.world.session_ids("rae")
    await town.world.gateway.watch_presence("rae", device_of("rae"), ["alice", "bob"])
    await until(lambda: town.world.registry.watched(session_id) == ("alice", "bob"), what="who is watched")
    await town.messaging.groups.remove_member(UserId("alice"), conversation, "rae")  # type: ignore[arg-type]
    await town.block("alice", "bo")
    await town.hear()
    assert town.world.registry.watched(session_id) == ()
    findings = Findings()
    for user_id in ("mallory", "rae", "bo"):
        there = {
            "conversation_id": conversation,
            "user_ids": "alice",
            "user_id": "alice",
            "resume_token": streams["alice"].ready.resume_token,
            "last_event_id": f"{streams['alice'].ready.resume_token}.0",
        }
        nowhere = {
            "conversation_id": town.new_id(),
            "user_ids": NOBODY,
            "user_id": NOBODY,
            "resume_token": NO_TOKEN,
            "last_event_id": f"{NO_TOKEN}.0",
        }
        questions = about(there, nowhere, device_id=[device_of(user_id), device_of("alice"), NO_DEVICE])
        devices = about({"device_id": device_of("alice")}, {"device_id": "nobody-pad"}, conversation_id=[town.new_id()])
        # Streams last: who opens one has a device of that name.
        for service in (PRESENCE, STREAMS):
            for asked in (questions, devices):
                await ask_all(town, findings, token_of(user_id), asked, [service])
    findings.assert_none()


async def test_who_went_is_told_nothing_of_what_came_after(town: ThreeServices) -> None:
    """Who placed the call, or was in it, still gets an answer to what they asked before; it never changes again."""
    conversation = await town.group("gil", "alice", "bob", "uma")
    call = await town.ring("gil", conversation, key="once")
    await town.enter(call, "alice", "bob")
    for user_id in ("gil", "uma"):
        await town.messaging.groups.leave_group(UserId(user_id), conversation)  # type: ignore[arg-type]
    await town.hear()
    asked = values_of(
        call_id=[call.call_id], conversation_id=[conversation], device_id=[device_of("gil")], user_id=["alice", NOBODY]
    )

    async def answers(user_id: str) -> list[str]:
        found = []
        for method in SERVICES[CALLS].methods:
            ask = partial(town.ask, CALLS, method.name, token_of(user_id))
            for request in filled_requests(request_of(method), asked):
                found.append(f"{method.name} {(await told(ask, request, TABLE)).text}")
        return found

    # What they set for themselves is set from here on.
    await answers("gil"), await answers("uma")
    before = {user_id: await answers(user_id) for user_id in ("gil", "uma")}
    await town.calls.changes.apply(call.call_id, SetHand(UserId("alice"), raised=True))
    await town.moves.move_on_request(call.call_id, OTHER_WORKER.worker_id)
    assert {user_id: await answers(user_id) for user_id in ("gil", "uma")} == before
    for user_id in ("alice", "bob"):
        await town.calls.leave_call(call.call_id, UserId(user_id), device_of(user_id))
    assert {user_id: await answers(user_id) for user_id in ("gil", "uma")} == before


async def test_a_removal_and_a_block_hold_before_anybody_has_heard_of_them(town: ThreeServices) -> None:
    """What messaging answered holds in calls from then on, whatever its events take."""
    conversation = await town.group("alice", "bob", "uma")
    call = await town.ring("alice", conversation)
    await town.enter(call, "bob")
    await town.messaging.groups.remove_member(UserId("alice"), conversation, "uma")  # type: ignore[arg-type]
    there, nowhere = {"call_id": call.call_id, "conversation_id": conversation}, {"call_id": town.new_id()}
    questions = about(there, nowhere | {"conversation_id": town.new_id()}, device_id=[device_of("uma")])
    for name in ("JoinCall", "AcceptCall", "StartCall"):
        findings, method = Findings(), SERVICES[CALLS].methods_by_name[name]
        ask = partial(town.ask, CALLS, name, token_of("uma"))
        await ask_both(findings, "uma", method, questions, partial(told, ask, table=TABLE))
        findings.assert_none()
    talk = await town.pair("carol", "dave")
    ringing = await town.ring("carol", talk)
    await town.block("carol", "dave")
    with pytest.raises(CallEnded):
        await town.enter(ringing, "dave")
    for caller in ("carol", "dave"):
        with pytest.raises(CallNotAllowed):
            await town.ring(caller, talk)


def test_every_rpc_that_users_call_is_asked() -> None:
    internal = of_messaging.INTERNAL
    messaging = {service.full_name for name, service in of_messaging.SERVICES.items() if name not in internal}
    messaging -= set(SCOPES)
    asked = messaging | set(SERVICES) | {of_push.SERVICE.full_name}
    assert {name.partition("/")[0] for name in client_rpcs()} == asked | OF_NOBODY


def test_the_test_knows_of_all_that_requests_name() -> None:
    methods = [method for service in SERVICES.values() for method in service.methods]
    assert {name for method in methods for name in named_fields(request_of(method))} <= set(values_of())
