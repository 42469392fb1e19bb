"""Configuration of messaging; `make docs` lists every variable, by the comments below."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.messaging.attachments.core.uploads import DEFAULT_TYPES
from services.messaging.kernel.request import REQUEST_MESSAGES
from services.runtime.config import DatabaseConfig, KafkaConfig, ProcessConfig, ServerConfig
from services.runtime.env import EnvReader, is_address


@dataclass(frozen=True)
class ObjectsConfig:
    """An S3-compatible bucket, addressed by path, without a slash at the end of the endpoints."""

    # The S3-compatible store as messaging reaches it, such as `https://s3.example`. Buckets are addressed by path.
    endpoint: str
    # The same store as devices reach it. The web server takes this variable too, for the page's policy.
    public_endpoint: str
    # A private bucket. It needs CORS for the pages' origins (PUT, GET; `content-type`, `if-none-match`).
    bucket: str
    # Part of each signature.
    region: str
    # A key that may get, put and delete objects of the bucket, and nothing else.
    key_id: str
    # The secret of that key.
    secret: str

    @classmethod
    def read(cls, env: EnvReader) -> "ObjectsConfig":
        endpoint = _origin(env, "PARLEY_OBJECTS_ENDPOINT", None)
        return cls(
            endpoint=endpoint,
            public_endpoint=_origin(env, "PARLEY_OBJECTS_PUBLIC_ENDPOINT", endpoint or "http://unset"),
            bucket=env.text("PARLEY_OBJECTS_BUCKET", "parley"),
            region=env.text("PARLEY_OBJECTS_REGION", "us-east-1"),
            key_id=env.text("PARLEY_OBJECTS_KEY_ID"),
            secret=env.text("PARLEY_OBJECTS_SECRET"),
        )


def _origin(env: EnvReader, name: str, default: str | None) -> str:
    value = env.text(name, default).rstrip("/")
    if value and not value.startswith(("http://", "https://")):
        env.problem(f"{name} is {value!r}, not an http or https address")
    return value


@dataclass(frozen=True)
class ScannerConfig:
    """Who is asked before a file may be sent; no address means nobody."""

    # Who is asked before a file may be sent: an http or https address. Empty: files are not scanned.
    url: str
    # Signs the questions to the scanner. Several while the secret is changed: the scanner takes the one that it knows.
    secrets: tuple[bytes, ...]
    # For one file. Raising it lets larger files be scanned in time; lowering it holds a place for less long when the
    # scanner is stuck.
    timeout_s: int
    # A file with the SHA-256 of files that nobody may send or fetch, in hex, one a line; `#` begins a remark. Read
    # again when it is replaced. Empty: there is no such list.
    hashes_file: str

    @classmethod
    def read(cls, env: EnvReader) -> "ScannerConfig":
        url = env.text("PARLEY_SCANNER_URL", "")
        if url and not url.startswith(("http://", "https://")):
            env.problem("PARLEY_SCANNER_URL is not http:// or https://")
        secrets = env.keys("PARLEY_SCANNER_SECRET") if url else ()
        return cls(
            url=url,
            secrets=secrets,
            timeout_s=env.integer("PARLEY_SCANNER_TIMEOUT_S", 30, low=1, high=600),
            hashes_file=env.text("PARLEY_SCANNER_HASHES_FILE", ""),
        )


@dataclass(frozen=True)
class HookConfig:
    """Who judges what people write before it is stored; no address means nobody."""

    # Who judges what people write before it is stored: `grpc://host:port`, `grpcs://host:port` (TLS), or an http or
    # https address. Empty: nobody does.
    url: str
    # Signs the questions over HTTP. Several while the secret is changed: the hook takes the one that it knows.
    secrets: tuple[bytes, ...]
    # From the moment that somebody writes to the answer. Raising it makes senders wait longer for a slow hook; lowering
    # it takes a slow one for none.
    timeout_ms: int
    # Questions of one replica at once. Raising it puts more on the hook; lowering it makes senders wait for a turn, and
    # those who wait for longer than the time for an answer are not judged.
    at_once: int
    # What becomes of strangers' messages without an answer: `open` passes them, `closed` refuses them for now, `off`
    # asks nothing at all. A stranger is who writes where nobody else has let the conversation in.
    requests: str
    # The same of other direct conversations.
    direct: str
    # The same of groups, and of their titles.
    groups: str
    # Whether the hook is asked about what servers of the back office send, too.
    servers: bool
    # Whether the hook judges what previews of links say. `false`: texts are stored without them. A hook that was made
    # before there were any passes whatever they say.
    previews: bool
    # How long what the hook held waits for a review; then it is forgotten. Raising it keeps it for longer where nobody
    # looks; lowering it drops what reviewers come to late.
    held_days: int

    @classmethod
    def read(cls, env: EnvReader) -> "HookConfig":
        url = env.text("PARLEY_HOOK_URL", "")
        if url and not _is_hook(url):
            env.problem("PARLEY_HOOK_URL is not grpc://host:port, grpcs://host:port, http:// or https://")
        is_http = url.startswith(("http://", "https://"))
        return cls(
            url=url,
            secrets=env.keys("PARLEY_HOOK_SECRET") if is_http else (),
            timeout_ms=env.integer("PARLEY_HOOK_TIMEOUT_MS", 1_000, low=10, high=10_000),
            at_once=env.integer("PARLEY_HOOK_AT_ONCE", 64, low=1, high=10_000),
            requests=env.choice("PARLEY_HOOK_REQUESTS", "closed", ("open", "closed", "off")),
            direct=env.choice("PARLEY_HOOK_DIRECT", "open", ("open", "closed", "off")),
            groups=env.choice("PARLEY_HOOK_GROUPS", "open", ("open", "closed", "off")),
            servers=env.boolean("PARLEY_HOOK_SERVERS", True),
            previews=env.boolean("PARLEY_HOOK_PREVIEWS", True),
            held_days=env.integer("PARLEY_HOOK_HELD_DAYS", 14, low=1, high=1_000),
        )


def _is_hook(url: str) -> bool:
    scheme, _, rest = url.partition("://")
    return is_address(rest) if scheme in ("grpc", "grpcs") else scheme in ("http", "https") and bool(rest)


@dataclass(frozen=True)
class Config:
    """Everything that messaging takes from the environment."""

    process: ProcessConfig
    server: ServerConfig
    database: DatabaseConfig
    kafka: KafkaConfig
    # Longest text, in code points. Raising it makes bigger rows and events; lowering it refuses people's texts.
    text_limit: int
    # Providers of stickers and GIFs, by the hosts of their pictures, such as `media.giphy.com`; each exactly a host,
    # in ASCII and lower case. Senders' devices search there, and everybody's load the pictures from there, so that the
    # provider learns who looks at them when. The web server takes this variable too, for the page's policy. Empty:
    # nobody can send any.
    sticker_hosts: tuple[str, ...]
    # Sends that may wait for a commit. Raising it makes longer waits under overload; lowering it answers
    # RESOURCE_EXHAUSTED earlier.
    send_queue: int
    # People in a group. Raising it makes bigger events, and more deliveries for a message.
    group_members: int
    # How long after it was sent a text can be edited. Raising it makes what was read less certain; lowering it refuses
    # late corrections.
    edit_window_s: int
    # How often a text can be edited. Raising it keeps more former texts; lowering it refuses corrections.
    max_edits: int
    # The largest conversation that is told live what reached whom. Raising it makes more events for each message, of
    # more members.
    receipt_members: int
    # Messages older than this are deleted; 0 keeps them.
    retention_days: int
    # How often a replica looks for messages whose time is over. Raising it leaves them in the tables for longer,
    # unseen.
    sweep_interval_s: int
    # Sends, edits, reactions and new groups of one person at one replica in the long run. Raising it lets one person
    # write more of what all share; lowering it refuses bots and imports.
    send_rate_per_s: int
    # The same at once, after a pause.
    send_burst: int
    # Conversations that one user may open. Raising it lets a spammer reach more people; lowering it refuses busy
    # people.
    new_conversations_per_day: int
    # Messages that go into a request before anybody else accepts it. Raising it lets somebody who is not known say more
    # unasked; lowering it leaves less to tell who it is by.
    request_messages: int
    # People who have to let one user's conversations in. Reports lower it. Raising it lets a spammer reach more people;
    # lowering it lets newcomers meet fewer.
    requests_per_day: int
    # People whom one user may block in Parley. Raising it makes longer lists; lowering it leaves people without a way
    # to block who are harassed by many.
    max_blocks: int
    # Reports of one user. Raising it gives the moderators more to read; lowering it refuses true reports.
    reports_per_day: int
    objects: ObjectsConfig
    scanner: ScannerConfig
    hook: HookConfig
    # The largest file; one PUT takes 5 GiB at most. Raising it costs storage and longer transfers; lowering it refuses
    # videos.
    upload_bytes: int
    # The media types that may be uploaded. More types: more programs of receivers that may be attacked. Fewer: people's
    # files are refused.
    upload_types: tuple[str, ...]
    # Files of one message. Raising it makes bigger events, and more questions to the object store a send.
    attachments: int
    # Files of one person that are in no message yet. Raising it lets one person fill more storage without sending.
    uploads_waiting: int
    # How long the address of an upload is good; signatures allow a week. Raising it helps who finds a leaked address;
    # lowering it refuses slow devices.
    upload_ttl_s: int
    # How long an upload waits for its message. Raising it keeps dead files longer; lowering it takes the files of
    # drafts away.
    upload_unused_s: int
    # How long the address of a download is good. Raising it lets it be passed on for longer; lowering it makes slow
    # devices ask twice.
    download_ttl_s: int
    # Until when a finished export is kept. Raising it keeps all of a person's data lying about for longer.
    export_kept_s: int
    # How long a replica may not know that an account is deleted. Raising it begins deletions later; lowering it makes
    # more queries.
    account_check_s: float
    # Signaling, which is asked for exports of a person's data. Empty: exports hold nothing of it.
    signaling_address: str
    # Push, which is asked for exports of a person's data. Empty: exports hold nothing of it.
    push_address: str
    # Every presence replica, to which messages are handed directly, and which are asked for exports of a person's data.
    # A name with many addresses is all of them. Empty: messages come to devices by Kafka alone, and exports hold
    # nothing of it.
    presence_addresses: tuple[str, ...]

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Config":
        """Read and check the environment. Raises ConfigError with all faults."""
        reader = EnvReader(env)
        config = cls(
            process=ProcessConfig.read(reader),
            server=ServerConfig.read(reader, calls=True, admin=True, servers=True),
            database=DatabaseConfig.read(reader),
            kafka=KafkaConfig.read(reader),
            text_limit=reader.integer("PARLEY_TEXT_LIMIT", 10_000, low=1, high=100_000),
            sticker_hosts=reader.hosts("PARLEY_STICKER_HOSTS", ()),
            send_queue=reader.integer("PARLEY_SEND_QUEUE", 2_000, low=1, high=100_000),
            group_members=reader.integer("PARLEY_GROUP_MEMBERS", 256, low=2, high=10_000),
            edit_window_s=reader.integer("PARLEY_EDIT_WINDOW_S", 900, low=0, high=10_000_000),
            max_edits=reader.integer("PARLEY_MAX_EDITS", 5, low=0, high=1_000),
            receipt_members=reader.integer("PARLEY_RECEIPT_MEMBERS", 32, low=0, high=10_000),
            retention_days=reader.integer("PARLEY_RETENTION_DAYS", 0, low=0, high=100_000),
            sweep_interval_s=reader.integer("PARLEY_SWEEP_INTERVAL_S", 5, low=1, high=3_600),
            send_rate_per_s=reader.integer("PARLEY_SEND_RATE_PER_S", 200, low=1, high=1_000_000),
            send_burst=reader.integer("PARLEY_SEND_BURST", 400, low=1, high=1_000_000),
            new_conversations_per_day=reader.integer("PARLEY_NEW_CONVERSATIONS_PER_DAY", 500, low=1, high=1_000_000),
            request_messages=reader.integer("PARLEY_REQUEST_MESSAGES", REQUEST_MESSAGES, low=1, high=1_000),
            requests_per_day=reader.integer("PARLEY_REQUESTS_PER_DAY", 100, low=1, high=1_000_000),
            max_blocks=reader.integer("PARLEY_MAX_BLOCKS", 10_000, low=1, high=1_000_000),
            reports_per_day=reader.integer("PARLEY_REPORTS_PER_DAY", 50, low=1, high=100_000),
            objects=ObjectsConfig.read(reader),
            scanner=ScannerConfig.read(reader),
            hook=HookConfig.read(reader),
            upload_bytes=reader.integer("PARLEY_UPLOAD_BYTES", 100 * 1024 * 1024, low=1, high=5 * 1024**3),
            upload_types=reader.words("PARLEY_UPLOAD_TYPES", DEFAULT_TYPES),
            attachments=reader.integer("PARLEY_ATTACHMENTS", 10, low=1, high=100),
            uploads_waiting=reader.integer("PARLEY_UPLOADS_WAITING", 100, low=1, high=100_000),
            upload_ttl_s=reader.integer("PARLEY_UPLOAD_TTL_S", 900, low=1, high=604_800),
            upload_unused_s=reader.integer("PARLEY_UPLOAD_UNUSED_S", 86_400, low=1, high=10_000_000),
            download_ttl_s=reader.integer("PARLEY_DOWNLOAD_TTL_S", 300, low=1, high=604_800),
            export_kept_s=reader.integer("PARLEY_EXPORT_KEPT_S", 604_800, low=60, high=10_000_000),
            account_check_s=reader.number("PARLEY_ACCOUNT_CHECK_S", 5, low=0, high=3600),
            signaling_address=",".join(reader.addresses("PARLEY_SIGNALING_ADDRESS", "")),
            push_address=",".join(reader.addresses("PARLEY_PUSH_ADDRESS", "")),
            presence_addresses=reader.addresses("PARLEY_PRESENCE_ADDRESSES", ""),
        )
        reader.finish()
        return config
