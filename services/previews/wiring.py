"""Where previews' objects are built; tests build the same."""

from services.previews import rpc
from services.previews.clients.dns import SystemResolver
from services.previews.clients.web import AiohttpWeb
from services.previews.config import Config
from services.previews.fetching import THE_INTERNET, Fetcher, Reach
from services.previews.ports import Resolver, Web
from services.previews.service import Previews
from services.runtime.clock import Clock, SystemClock
from services.runtime.grpc.server import RpcServer
from services.runtime.identity.auth import ServiceTokens, UserTokens
from services.runtime.identity.service_keys import ServiceKeys
from services.runtime.lifecycle import App


def build(config: Config, *, reach: Reach = THE_INTERNET, resolver: Resolver | None = None) -> App:
    """The service, not started. `reach` and `resolver` are for tests, whose hosts are on this machine."""
    clock = SystemClock()
    # Look-ups that hang outlive their fetches.
    dns = SystemResolver(2 * config.parallel)
    web = AiohttpWeb(config.user_agent, config.timeout_s)
    previews = previews_of(config, resolver or dns, web, clock, reach)
    server = RpcServer(
        config.server,
        rpc.apis(previews),
        rpc.ERRORS,
        ServiceTokens(ServiceKeys.of("previews", config.server.identity), clock),
        # Of revocations and deletions the broker tells, to which a process that hosts of others speak to has neither a
        # key nor a way: whoever was signed out may see what pages say of themselves until the token expires.
        UserTokens.of(config.server, clock, standings=None),
    )
    return App([dns, previews], server)


def previews_of(config: Config, resolver: Resolver, web: Web, clock: Clock, reach: Reach) -> Previews:
    """The use-case, as it is configured."""
    reach = reach.without(config.own_networks)
    return Previews(
        Fetcher(resolver, web, reach, config.timeout_s),
        reach,
        clock,
        is_on=config.enabled,
        parallel=config.parallel,
    )
