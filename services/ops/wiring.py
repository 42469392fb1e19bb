"""The command line."""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from aiokafka.errors import KafkaError

from services.ops.broker import Broker
from services.ops.clients import CallOperations, Deletions, Fleet, NoticeOperations, Refused, WebhookOperations
from services.ops.config import STACK, Config
from services.ops.core import calls, outward, routing, topics
from services.ops.credentials import DevelopmentAdmin, TokenFile
from services.ops.mapping import CALL_TOPICS, moments_of
from services.ops.timeline import timeline
from services.ops.timeline_page import render
from services.runtime.clock import SystemClock
from services.runtime.env import ConfigError
from services.runtime.errors import BusUnavailable
from services.runtime.grpc.channels import Credentials
from services.runtime.grpc.tls import Peer
from services.runtime.identity.roles import OPERATOR, PRIVACY

# The services that a command asks.
ASKED: Mapping[str, tuple[str, ...]] = {
    "sessions": ("presence", "gateway"),
    "partitions": ("presence",),
    "slowest": ("gateway",),
    "locate-call": ("signaling",),
    "move-call": ("signaling",),
    "drain-worker": ("signaling",),
    "lag": ("kafka",),
    "dead-letters": ("kafka",),
    "replay": ("kafka",),
    "timeline": ("kafka",),
    "delete-again": ("kafka", "messaging"),
    "webhooks": ("webhooks",),
    "webhook-dead-letters": ("webhooks",),
    "replay-webhooks": ("webhooks",),
    "enable-webhook": ("webhooks",),
    "notice-dead-letters": ("push",),
    "replay-notices": ("push",),
}
# The role that a command takes, where it is not that of an operator: people who run services cannot delete people.
ROLE: Mapping[str, str] = {"delete-again": PRIVACY}


def main(arguments: Sequence[str]) -> int:
    """Returns the exit status: 1 when something did not answer or was refused, 2 for a setting to mend."""
    options = _parse(arguments)
    try:
        needed, role = ASKED[options.command], ROLE.get(options.command, OPERATOR)
        config = Config.from_stack(options.stack) if options.stack else Config.from_env(os.environ, needed)
        credentials = _credentials(config, role)
    except ConfigError as error:
        sys.stderr.writelines(f"ops: {problem}\n" for problem in error.problems)
        return 2
    try:
        lines, is_done = asyncio.run(_run(config, credentials, options))
    except ConfigError as error:
        sys.stderr.writelines(f"ops: {problem}\n" for problem in error.problems)
        return 2
    except Refused as refused:
        sys.stderr.write(f"ops: {refused.reason}: {refused}\n")
        return 1
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0 if is_done else 1


async def _run(config: Config, tokens: Credentials | None, options: argparse.Namespace) -> tuple[list[str], bool]:
    """What to print, and whether all is well."""
    if config.kafka and tokens and options.command == "delete-again":
        return await _delete_again(
            Broker(config.kafka), Deletions(config.messaging, tokens, Peer.of(config.tls, "messaging"))
        )
    if config.kafka and "kafka" in ASKED[options.command]:
        return await _ask_broker(Broker(config.kafka), options)
    if tokens is None:
        raise RuntimeError(f"{options.command} asks services, and there is no token for them")
    if "signaling" in ASKED[options.command]:
        return await _operate(CallOperations(config.signaling, tokens, Peer.of(config.tls, "signaling")), options)
    if "webhooks" in ASKED[options.command]:
        webhooks = WebhookOperations(config.webhooks, tokens, Peer.of(config.tls, "webhooks"))
        return await _look_after_webhooks(webhooks, options), True
    if "push" in ASKED[options.command]:
        notices = NoticeOperations(config.push, tokens, Peer.of(config.tls, "push"))
        return await _look_after_notices(notices, options), True
    lines = await _show(Fleet(config.presence, config.gateways, tokens, config.tls), options)
    return lines, not any("does not answer" in line for line in lines)


def _credentials(config: Config, role: str) -> Credentials | None:
    """What services are shown; None for what asks only the broker. Raises ConfigError."""
    if config.key_file:
        return DevelopmentAdmin(Path(config.key_file), [role])
    return TokenFile(Path(config.token_file)) if config.token_file else None


async def _delete_again(broker: Broker, deletions: Deletions) -> tuple[list[str], bool]:
    try:
        published = await broker.deleted_users()
    except (KafkaError, BusUnavailable, OSError, TimeoutError) as error:
        return [f"the broker does not answer: {type(error).__name__}"], False
    known = await deletions.known()
    await deletions.again(sorted({*published, *known}))
    return topics.deleted_again(published, known), True


async def _show(fleet: Fleet, options: argparse.Namespace) -> list[str]:
    match options.command:
        case "partitions":
            return routing.partitions(await fleet.replicas())
        case "sessions":
            return routing.sessions(await fleet.gateways(), await fleet.replicas())
        case _:
            devices, unreachable = await fleet.slowest(options.limit)
            return routing.slowest(devices, unreachable, options.limit)


async def _ask_broker(broker: Broker, options: argparse.Namespace) -> tuple[list[str], bool]:
    try:
        match options.command:
            case "lag":
                return topics.lag(await broker.stages(SystemClock().now())), True
            case "dead-letters":
                return topics.letters(await broker.letters(options.topic, options.limit)), True
            case "timeline":
                moments = moments_of(options.call, await broker.keyed(CALL_TOPICS, options.call))
                if options.html and moments:
                    options.html.write_text(render(options.call, moments, every=options.every), encoding="utf-8")
                    return [f"written to {options.html}"], True
                return timeline(moments, every=options.every), bool(moments)
            case _:
                letter = await broker.replay(options.topic, options.offset)
                return topics.replayed(options.topic, options.offset, letter), letter is not None
    except (KafkaError, BusUnavailable, OSError, TimeoutError) as error:
        return [f"the broker does not answer: {type(error).__name__}"], False


async def _operate(operations: CallOperations, options: argparse.Namespace) -> tuple[list[str], bool]:
    match options.command:
        case "locate-call":
            return calls.located(options.call, *await operations.locate(options.call)), True
        case "move-call":
            return calls.located(options.call, *await operations.move(options.call, options.to)), True
        case _:
            left = await operations.drain(options.worker, undo=options.undo)
            lines = calls.undrained(options.worker) if options.undo else calls.drained(options.worker, left)
            return lines, not left


async def _look_after_webhooks(webhooks: WebhookOperations, options: argparse.Namespace) -> list[str]:
    match options.command:
        case "webhooks":
            return outward.webhook_endpoints(await webhooks.endpoints(), SystemClock().now())
        case "webhook-dead-letters":
            return outward.given_up_webhooks(await webhooks.dead_letters(options.endpoint, options.limit))
        case "enable-webhook":
            await webhooks.enable(options.endpoint)
            return [f"{options.endpoint} is sent to again"]
        case _:
            until = options.until or SystemClock().now()
            count = await webhooks.replay(options.endpoint, options.since, until, dead_only=options.dead_only)
            return [f"{count} deliveries to {options.endpoint} wait again"]


async def _look_after_notices(notices: NoticeOperations, options: argparse.Namespace) -> list[str]:
    if options.command == "notice-dead-letters":
        return outward.given_up_notices(await notices.dead_letters(options.provider, options.limit))
    return [f"{await notices.replay(options.provider)} notices are sent again"]


def _instant(text: str) -> datetime:
    """A time of the command line: with its offset, or else in UTC."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2026-01-31T12:00:00Z") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    common = argparse.ArgumentParser(add_help=False)
    # Without any of these there are no settings here, so that a stack on this machine is meant.
    default = None if {"PARLEY_ADMIN_TOKEN_FILE", "PARLEY_KAFKA_BOOTSTRAP"} & os.environ.keys() else STACK
    common.add_argument(
        "--stack",
        type=Path,
        default=default,
        help=f"the record of an embedded stack (default {STACK}, or the environment when it names a token or a broker)",
    )
    parser = argparse.ArgumentParser(
        prog="python -m services.ops", description="Looks at the running services, and moves calls."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add_command(name: str, what: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=what, description=what, parents=[common])

    add_command("sessions", "Devices by gateway, and how many of them presence routes.")
    add_command("partitions", "Partitions of delivery.v1 by presence replica.")
    slowest = add_command("slowest", "The devices with most waiting, over all gateways.")
    slowest.add_argument("--limit", type=int, default=20, help="how many (default 20)")
    locate = add_command("locate-call", "Which SFU worker carries a call.")
    move = add_command("move-call", "Move a call to another SFU worker; nobody in it is interrupted.")
    for command in (locate, move):
        command.add_argument("call", metavar="CALL", help="the call's id")
    move.add_argument("--to", metavar="WORKER", default="", help="the worker's id (default: the best of the others)")
    drain = add_command("drain-worker", "Give an SFU worker no more calls, and move those that it has.")
    drain.add_argument("worker", metavar="WORKER", help="the worker's id")
    drain.add_argument("--undo", action="store_true", help="let it take calls again")
    add_command("lag", "What waits for each stage of the pipeline, and for how long.")
    dead = add_command("dead-letters", "Records of a topic that a consumer could not handle, the newest.")
    dead.add_argument("--limit", type=int, default=20, help="how many (default 20)")
    replay = add_command("replay", "Publish a dead letter to its topic again.")
    known = sorted({topic for topic, _ in topics.STAGES})
    for command in (dead, replay):
        command.add_argument("topic", choices=known, metavar="TOPIC", help=", ".join(known))
    replay.add_argument("offset", type=int, metavar="OFFSET", help="as `dead-letters` shows it")
    story = add_command("timeline", "What the record has of a call: who came and went, moves, layers, loss, freezes.")
    story.add_argument("call", metavar="CALL", help="the call's id")
    story.add_argument("--every", action="store_true", help="every measurement, not only those that say something new")
    story.add_argument("--html", type=Path, metavar="FILE", help="write it as a page, with its lanes drawn")
    add_command("delete-again", "After a database was restored: delete whoever was deleted since, in all services.")
    add_command("webhooks", "The endpoints of webhooks: whether they take what they are sent, and what waits.")
    given_up = add_command("webhook-dead-letters", "Deliveries to an endpoint that were given up, the newest.")
    given_up.add_argument("--limit", type=int, default=20, help="how many (default 20)")
    again = add_command("replay-webhooks", "Send what was delivered or given up once more, with the same webhook-id.")
    again.add_argument("--since", type=_instant, required=True, help="events from then on, as 2026-01-31T12:00:00Z")
    again.add_argument("--until", type=_instant, help="events before then (default now)")
    again.add_argument("--dead-only", action="store_true", help="only what was given up")
    enable = add_command("enable-webhook", "Send to an endpoint again that said it is gone (410).")
    for command in (given_up, again, enable):
        command.add_argument("endpoint", metavar="ENDPOINT", help="its name")
    unsent = add_command("notice-dead-letters", "Notices to sleeping devices that were given up, the newest.")
    unsent.add_argument("--limit", type=int, default=20, help="how many (default 20)")
    resend = add_command("replay-notices", "Send notices that were given up once more, with what is still unread.")
    for command in (unsent, resend):
        command.add_argument("--provider", choices=outward.PROVIDERS, default="", help="only of this one")
    return parser.parse_args(arguments)
