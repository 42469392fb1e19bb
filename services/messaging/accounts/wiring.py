"""Where the objects of accounts are built."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from services.messaging.accounts import rpc
from services.messaging.accounts.clients import GrpcSource
from services.messaging.accounts.core.jobs import AccountPolicy
from services.messaging.accounts.mapping import standing_of
from services.messaging.accounts.service.accounts import AccountAdmission, Accounts
from services.messaging.accounts.service.runner import JobRunner
from services.messaging.accounts.service.signing_out import SignOuts
from services.messaging.accounts.sql.store import PostgresAccounts, PostgresJobs, PostgresRevocations
from services.messaging.attachments.ports import ObjectStore
from services.messaging.config import Config
from services.messaging.groups.ports import GroupStore
from services.messaging.kernel.model import UserId
from services.runtime.clock import Clock
from services.runtime.grpc.guard import Admit
from services.runtime.grpc.tls import Peer
from services.runtime.identity import accounts as standings
from services.runtime.identity import auth
from services.runtime.identity.auth import ServiceTokens
from services.runtime.ids import new_id
from services.runtime.postgres.database import Database
from services.runtime.postgres.outbox import OutboxRelay


@dataclass(frozen=True)
class AccountsFeature:
    """The objects of the feature, not started; `revoked` is what this replica knows of all accounts."""

    accounts: Accounts
    admission: AccountAdmission
    sign_outs: SignOuts
    revoked: standings.Accounts
    runner: JobRunner
    sources: Sequence[GrpcSource]


def account_policy(config: Config) -> AccountPolicy:
    """The times of exports and deletions that are configured."""
    start_delay_s = config.account_check_s + config.server.default_deadline_s
    return AccountPolicy(kept=timedelta(seconds=config.export_kept_s), start_delay=timedelta(seconds=start_delay_s))


def account_sources(config: Config, tokens: ServiceTokens) -> list[GrpcSource]:
    """The other services that hold something of people."""
    others = (
        ("signaling", config.signaling_address),
        ("presence", ",".join(config.presence_addresses)),
        ("push", config.push_address),
    )
    return [GrpcSource(name, address, tokens, Peer.of(config.server.tls, name)) for name, address in others if address]


def admit_accounts(admission: AccountAdmission) -> Admit:
    """Keeps deleted accounts out of all services but the one that tells how the deletion stands."""

    async def admit(service: str, user_id: auth.UserId) -> None:
        if service != rpc.ACCOUNT_SERVICE:
            await admission.require_not_deleted(UserId(user_id))

    return admit


def build_accounts(
    config: Config,
    database: Database,
    relay: OutboxRelay,
    clock: Clock,
    tokens: ServiceTokens,
    groups: GroupStore,
    objects: ObjectStore,
) -> AccountsFeature:
    """The feature; deletions leave `groups`, exports are put into `objects`."""
    jobs = PostgresJobs(database, relay.wake)
    data = PostgresAccounts(database, relay, new_id)
    policy, sources = account_policy(config), account_sources(config, tokens)
    admission = AccountAdmission(jobs, clock, config.account_check_s)
    runner = JobRunner(jobs, data, groups, objects, clock, new_id, policy, sources)
    accounts = Accounts(jobs, admission, objects, clock, new_id, policy, runner.wake)
    # Deleted accounts are kept out by `admission`, which lets them ask how their deletion stands.
    revoked = standings.Accounts(clock, config.server.jwt_max_life_s, refuses_deleted=False)
    sign_outs = SignOuts(
        PostgresRevocations(database, relay.wake),
        admission,
        lambda user_id, found: revoked.note(user_id, standing_of(found)),
        clock,
        timedelta(seconds=config.server.jwt_max_life_s),
    )
    return AccountsFeature(accounts, admission, sign_outs, revoked, runner, sources)
