"""What services are configured with, each part by a frozen dataclass that reads itself from the environment."""

from dataclasses import dataclass
from pathlib import Path

from services.runtime.env import EnvReader


@dataclass(frozen=True)
class LogConfig:
    """How to log: `json` for machines, `console` for people."""

    # `json` for machines, `console` for people at a terminal.
    format: str
    # The least that is logged.
    level: str

    @classmethod
    def read(cls, env: EnvReader) -> "LogConfig":
        return cls(
            format=env.choice("PARLEY_LOG_FORMAT", "json", ("json", "console")),
            level=env.choice("PARLEY_LOG_LEVEL", "info", ("debug", "info", "warning", "error")),
        )


@dataclass(frozen=True)
class TelemetryConfig:
    """Where spans go. An empty endpoint: nowhere."""

    # A collector that takes OTLP over gRPC. Empty: no spans are made or sent.
    endpoint: str
    # Whether the connection to the collector uses TLS.
    tls: bool
    # The share of traces begun here that is kept. Raising it stores more; lowering it leaves rare faults without a
    # trace.
    ratio: float
    # The time between exports. Raising it makes fewer requests; lowering it shows spans sooner.
    interval_ms: int

    @classmethod
    def read(cls, env: EnvReader) -> "TelemetryConfig":
        return cls(
            endpoint=env.address("PARLEY_OTLP_ENDPOINT", ""),
            tls=env.boolean("PARLEY_OTLP_TLS", False),
            ratio=env.number("PARLEY_TRACE_RATIO", 0.01, low=0, high=1),
            interval_ms=env.integer("PARLEY_OTLP_INTERVAL_MS", 5_000, low=100, high=60_000),
        )


@dataclass(frozen=True)
class ProcessConfig:
    """What every process has: logs, a metrics port and, if wanted, traces."""

    # Where Prometheus finds `/metrics`.
    metrics_address: str
    log: LogConfig
    telemetry: TelemetryConfig
    # Linux's SCHED_BATCH: a process finishes what it began before others on its core have their turn. `true` helps
    # where more busy processes than cores run; it makes each message some milliseconds later, and changes nothing while
    # a core is free.
    sched_batch: bool = False

    @classmethod
    def read(cls, env: EnvReader) -> "ProcessConfig":
        return cls(
            metrics_address=env.address("PARLEY_METRICS_ADDRESS", "0.0.0.0:9100"),
            log=LogConfig.read(env),
            telemetry=TelemetryConfig.read(env),
            sched_batch=env.boolean("PARLEY_SCHED_BATCH", False),
        )


@dataclass(frozen=True)
class UserLimitsConfig:
    """What one user may ask of one replica; the edge sends all calls of a user to one (costs.py has the units)."""

    # What one user may ask in the long run, in units of costs.py. Raising it lets one user take more of what all share;
    # lowering it refuses devices that log in with a large account.
    units_per_s: float = 200
    # What one user may ask at once, in units of costs.py. Raising it lets one user take more of what all share;
    # lowering it refuses devices that log in with a large account: 50,000 conversations cost about 2,600 units.
    burst_units: float = 4_000
    # Calls that hold a database connection, at once. Raising it to the size of the pool lets one user have all of it;
    # lowering it makes a device's own calls wait for each other.
    calls: int = 4
    # How many more may wait for their turn. Raising it costs memory; lowering it refuses a device that asks much.
    waiting: int = 200

    @classmethod
    def read(cls, env: EnvReader) -> "UserLimitsConfig":
        return cls(
            units_per_s=env.number("PARLEY_USER_UNITS_PER_S", 200, low=0.1, high=1_000_000),
            burst_units=env.number("PARLEY_USER_BURST_UNITS", 4_000, low=1, high=10_000_000),
            calls=env.integer("PARLEY_USER_CALLS", 4, low=1, high=1_000),
            waiting=env.integer("PARLEY_USER_CALLS_WAITING", 200, low=0, high=100_000),
        )


@dataclass(frozen=True)
class IdentityConfig:
    """By which keys services are known: files with JWK sets (see service_keys.py), read again when they change."""

    # A JWK set with the public Ed25519 keys of all who may call services; each key has a `kid` and a `parley_service`.
    # Read again when it changes.
    public_keys_file: str
    # A JWK set with the private keys of this service; the first signs. Read again when it changes. Empty: the service
    # calls no other one.
    private_keys_file: str = ""

    @classmethod
    def read(cls, env: EnvReader, *, calls: bool) -> "IdentityConfig":
        """`calls`: the service calls others, so it needs a private key; another one takes none."""
        return cls(
            public_keys_file=env.text("PARLEY_SERVICE_PUBLIC_KEYS_FILE"),
            private_keys_file=env.text("PARLEY_SERVICE_PRIVATE_KEYS_FILE") if calls else "",
        )


@dataclass(frozen=True)
class AdminConfig:
    """Where people call the admin services, and who vouches for them.

    Without an issuer they are not served, and the port is not opened, unless servers of the back office call there.
    """

    # Where the admin services and the server API listen; nothing else is served there.
    address: str
    # The keys of the issuer of operators' tokens; not the users'. Empty: the admin services are not served.
    jwks_url: str
    # The `iss` of operators' tokens; not the users'.
    jwt_issuer: str
    # The `aud` of operators' tokens.
    jwt_audience: str
    # The claim that lists a person's roles (roles.py).
    roles_claim: str

    @classmethod
    def read(cls, env: EnvReader) -> "AdminConfig":
        config = cls(
            address=env.address("PARLEY_ADMIN_ADDRESS", "0.0.0.0:7001"),
            jwks_url=env.text("PARLEY_ADMIN_JWKS_URL", ""),
            jwt_issuer=env.text("PARLEY_ADMIN_JWT_ISSUER", ""),
            jwt_audience=env.text("PARLEY_ADMIN_JWT_AUDIENCE", "parley-admin"),
            roles_claim=env.text("PARLEY_ADMIN_ROLES_CLAIM", "roles"),
        )
        if bool(config.jwks_url) != bool(config.jwt_issuer):
            env.problem("PARLEY_ADMIN_JWKS_URL and PARLEY_ADMIN_JWT_ISSUER go together")
        # Whoever lets users in must not be able to make one an operator.
        for own, name in ((config.jwks_url, "JWKS_URL"), (config.jwt_issuer, "JWT_ISSUER")):
            if own and own == env.text(f"PARLEY_{name}", ""):
                env.problem(f"PARLEY_ADMIN_{name} is that of the users: people need an issuer of their own")
        return config


@dataclass(frozen=True)
class TlsConfig:
    """Mutual TLS between our processes (tls.py): all three files, or none, which is clear text."""

    # Our own certificate, PEM. All three files, or none: then services speak clear text. Read again when it changes.
    certificate_file: str = ""
    # The key of our certificate, PEM. Read again when it changes.
    key_file: str = ""
    # PEM: who signs the certificates of all who may connect, and of nobody else. Read again when it changes.
    ca_file: str = ""

    @property
    def is_on(self) -> bool:
        """Whether connections are made and taken over mutual TLS, and over nothing else."""
        return bool(self.certificate_file)

    @classmethod
    def in_folder(cls, folder: Path) -> "TlsConfig":
        """Files as cert-manager names them in a Secret."""
        return cls(*(str(folder / name) for name in ("tls.crt", "tls.key", "ca.crt")))

    @classmethod
    def read(cls, env: EnvReader) -> "TlsConfig":
        config = cls(
            certificate_file=env.text("PARLEY_TLS_CERTIFICATE_FILE", ""),
            key_file=env.text("PARLEY_TLS_KEY_FILE", ""),
            ca_file=env.text("PARLEY_TLS_CA_FILE", ""),
        )
        files = {"CERTIFICATE": config.certificate_file, "KEY": config.key_file, "CA": config.ca_file}
        missing = [f"PARLEY_TLS_{name}_FILE" for name, file in files.items() if not file]
        if 0 < len(missing) < len(files):
            env.problem(
                "PARLEY_TLS_CERTIFICATE_FILE, _KEY_FILE and _CA_FILE go together:"
                f" {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set"
            )
        return config


CLEAR_TEXT = TlsConfig()


@dataclass(frozen=True)
class ServerConfig:
    """Where a service listens, whom it trusts, and how it stops."""

    # Where users and services call.
    grpc_address: str
    identity: IdentityConfig
    # The keys of the social network's token issuer; empty in services that no user calls.
    jwks_url: str
    # The `iss` of the network's tokens; empty in services that no user calls.
    jwt_issuer: str
    # The `aud` of the network's tokens.
    jwt_audience: str
    # How long load balancers have to see NOT_SERVING before calls are refused. Raising it makes stops slower; lowering
    # it gets calls refused.
    drain_delay_s: float
    # How long running calls have after that. Raising it makes stops slower; lowering it cuts calls off.
    drain_grace_s: float
    # The deadline of calls that come without one. Raising it lets stuck calls hold memory longer; lowering it cuts off
    # slow work.
    default_deadline_s: float
    # The longest life of a token, from its iat to its exp; without an iat, what may be left of it. A token that lives
    # longer is refused. Raising it lets a stolen token serve longer, and revocations are remembered longer; lowering it
    # makes the network issue more of them.
    jwt_max_life_s: float = 86_400.0
    # The claim that names a token's device; empty: none does.
    jwt_device_claim: str = "device_id"
    user_limits: UserLimitsConfig = UserLimitsConfig()
    # None in services that have nothing for people who run Parley.
    admin: AdminConfig | None = None
    # A JWK set with the public keys of the servers of the network's back office, and what each may do (server_keys.py).
    # Read again when it changes. Empty: the server API is not served.
    server_keys_file: str = ""
    tls: TlsConfig = CLEAR_TEXT
    # With mutual TLS: where health, and nothing else, is served in clear text to clients without a certificate, such as
    # Kubernetes' probes. The SFU workers of a pod take the ports that follow.
    health_address: str = "0.0.0.0:7200"

    @classmethod
    def read(
        cls,
        env: EnvReader,
        *,
        public: bool = True,
        calls: bool = False,
        admin: bool = False,
        servers: bool = False,
    ) -> "ServerConfig":
        """Read what every gRPC service needs; `public` services also need to know the network's tokens.

        `calls`: it calls other services, for which it needs a private key. `admin`: it has admin services. `servers`:
        it has, beside these, a part of the server API.
        """
        return cls(
            grpc_address=env.address("PARLEY_GRPC_ADDRESS", "0.0.0.0:7000"),
            identity=IdentityConfig.read(env, calls=calls),
            jwks_url=env.text("PARLEY_JWKS_URL") if public else "",
            jwt_issuer=env.text("PARLEY_JWT_ISSUER") if public else "",
            jwt_audience=env.text("PARLEY_JWT_AUDIENCE", "parley"),
            drain_delay_s=env.number("PARLEY_DRAIN_DELAY_S", 0, low=0, high=300),
            drain_grace_s=env.number("PARLEY_DRAIN_GRACE_S", 5, low=0, high=3600),
            default_deadline_s=env.number("PARLEY_DEFAULT_DEADLINE_S", 10, low=0.1, high=300),
            jwt_max_life_s=env.number("PARLEY_JWT_MAX_LIFE_S", 86_400, low=60, high=2_592_000) if public else 0.0,
            jwt_device_claim=env.text("PARLEY_JWT_DEVICE_CLAIM", "device_id") if public else "",
            user_limits=UserLimitsConfig.read(env) if public else UserLimitsConfig(),
            admin=AdminConfig.read(env) if admin else None,
            server_keys_file=env.text("PARLEY_SERVER_KEYS_FILE", "") if servers else "",
            tls=TlsConfig.read(env),
            health_address=env.address("PARLEY_HEALTH_ADDRESS", "0.0.0.0:7200"),
        )


@dataclass(frozen=True)
class KafkaTls:
    """TLS to the broker; its certificate and its name are always checked."""

    # Whether the connection to the broker uses TLS.
    enabled: bool = False
    # PEM. Empty: the system's own authorities.
    ca_file: str = ""
    # Our own certificate, PEM, by which the broker knows us if it asks. Read again at the next connection once the file
    # has changed.
    certificate_file: str = ""
    # The key of that certificate, PEM. Set both files or none.
    key_file: str = ""

    @classmethod
    def read(cls, env: EnvReader) -> "KafkaTls":
        tls = cls(
            enabled=env.boolean("PARLEY_KAFKA_TLS", False),
            ca_file=env.text("PARLEY_KAFKA_CA_FILE", ""),
            certificate_file=env.text("PARLEY_KAFKA_CERTIFICATE_FILE", ""),
            key_file=env.text("PARLEY_KAFKA_KEY_FILE", ""),
        )
        if bool(tls.certificate_file) != bool(tls.key_file):
            env.problem("PARLEY_KAFKA_CERTIFICATE_FILE and PARLEY_KAFKA_KEY_FILE go together")
        if not tls.enabled and (tls.ca_file or tls.certificate_file):
            # Who names certificates does not mean to speak in clear.
            env.problem("PARLEY_KAFKA_CA_FILE or _CERTIFICATE_FILE is set, but PARLEY_KAFKA_TLS is not true")
        return tls


@dataclass(frozen=True)
class KafkaConfig:
    """How to reach the broker."""

    # The brokers that are asked first.
    bootstrap: str
    # Apache Kafka takes idempotent producers; the embedded broker does not know InitProducerId.
    idempotent: bool
    # After this, a dead member's partitions move. Raising it moves them later; lowering it lets a busy machine lose its
    # partitions for nothing. Apache Kafka refuses less than its group.min.session.timeout.ms (6 s unless changed).
    session_timeout_ms: int
    # How long the broker may hold a fetch that finds nothing. Raising it saves requests while nothing happens; lowering
    # it notices sooner that a connection is dead.
    fetch_wait_ms: int
    # 0 for a broker that answers a waiting fetch as soon as there is something, as Apache Kafka does. Another one is
    # asked again and again while records come, and left alone for so long when none came for a second. Raising it
    # saves requests; lowering it brings the first record after a pause sooner.
    idle_pause_ms: int = 0
    tls: KafkaTls = KafkaTls()

    @classmethod
    def read(cls, env: EnvReader) -> "KafkaConfig":
        return cls(
            bootstrap=",".join(env.addresses("PARLEY_KAFKA_BOOTSTRAP")),
            idempotent=env.boolean("PARLEY_KAFKA_IDEMPOTENT", True),
            session_timeout_ms=env.integer("PARLEY_KAFKA_SESSION_TIMEOUT_MS", 6_000, low=1_000, high=300_000),
            fetch_wait_ms=env.integer("PARLEY_KAFKA_FETCH_WAIT_MS", 5_000, low=1, high=30_000),
            idle_pause_ms=env.integer("PARLEY_KAFKA_IDLE_PAUSE_MS", 0, low=0, high=30_000),
            tls=KafkaTls.read(env),
        )


@dataclass(frozen=True)
class DatabaseConfig:
    """How to reach PostgreSQL."""

    # `postgresql://...`; several hosts are allowed. Only a server that takes writes is used.
    url: str
    # Connections to the database. Raising it allows more parallel transactions and costs memory on the server; lowering
    # it makes calls queue for a connection.
    pool_size: int

    @classmethod
    def read(cls, env: EnvReader) -> "DatabaseConfig":
        return cls(
            url=env.text("PARLEY_DATABASE_URL"),
            pool_size=env.integer("PARLEY_DATABASE_POOL_SIZE", 8, low=1, high=200),
        )
