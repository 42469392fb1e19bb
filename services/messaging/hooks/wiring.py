"""Where the objects of the network's hook are built."""

from dataclasses import dataclass
from datetime import timedelta

import structlog

from services.messaging.config import Config
from services.messaging.hooks.clients import GrpcHook, HttpHook
from services.messaging.hooks.core.policy import HookPolicy, WithoutAnswer
from services.messaging.hooks.core.verdicts import Surface
from services.messaging.hooks.ports import Places
from services.messaging.hooks.service.asking import Asking
from services.messaging.hooks.service.judging import Judging
from services.messaging.hooks.service.reviewing import HeldPurging, KeepingPolicy
from services.messaging.hooks.service.withdrawing import Withdrawals
from services.messaging.hooks.sql import PostgresHeld
from services.runtime.clock import Clock
from services.runtime.identity.auth import ServiceTokens
from services.runtime.ids import new_id
from services.runtime.postgres.database import Database

log = structlog.get_logger()


@dataclass(frozen=True)
class HooksFeature:
    """The objects of the feature, not started. What was held stays so when the hook is taken away."""

    hook: GrpcHook | HttpHook | None
    judging: Judging | None
    held: PostgresHeld
    withdrawals: Withdrawals
    purging: HeldPurging


def message_hook(config: Config, clock: Clock, tokens: ServiceTokens) -> GrpcHook | HttpHook | None:
    """The hook that is configured. Without one nobody judges what people write, which is said."""
    hook = config.hook
    scheme, _, address = hook.url.partition("://")
    if not hook.url:
        log.info("messages_are_not_judged", because="PARLEY_HOOK_URL is not set")
        return None
    if scheme in ("grpc", "grpcs"):
        return GrpcHook(address, tokens, secure=scheme == "grpcs")
    return HttpHook(hook.url, hook.secrets, clock)


def judging_by(hook: GrpcHook | HttpHook, config: Config, held: PostgresHeld, places: Places, clock: Clock) -> Judging:
    """What asks the hook."""
    settings = config.hook
    asking = Asking(hook, clock, settings.timeout_ms / 1000, settings.at_once, config.text_limit)
    surfaces = {Surface.REQUEST: settings.requests, Surface.DIRECT: settings.direct, Surface.GROUP: settings.groups}
    without = {surface: WithoutAnswer(value) for surface, value in surfaces.items()}
    policy = HookPolicy(without, settings.servers, settings.previews)
    return Judging(asking, held, places, policy, clock, new_id)


def build_hooks(
    config: Config, database: Database, clock: Clock, tokens: ServiceTokens, places: Places
) -> HooksFeature:
    """`places` tells where a message would come to stand."""
    keeping = KeepingPolicy(waiting=timedelta(days=config.hook.held_days))
    held = PostgresHeld(database, keeping.waiting)
    hook = message_hook(config, clock, tokens)
    return HooksFeature(
        hook,
        judging_by(hook, config, held, places, clock) if hook else None,
        held,
        Withdrawals(held, clock),
        HeldPurging(held, clock, keeping),
    )
