"""How each kind of throw-away server is made, run in the foreground, and talked to."""

import glob
import os
import random
import shutil
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
import pymysql

APP = "app"
APP_PASSWORD = "app-secret"
"""A login that needs its password; the administrator's (`postgres`, `root`) needs none."""

HOST = "127.0.0.1"
NODES = 3
GALERA = "libgalera_smm.so"

NOT_YET = (psycopg.OperationalError, pymysql.OperationalError)
"""What the drivers raise until a server answers."""

HIDE = "DBTASKS_TEST_HIDE_SERVERS"
"""The variable that, set to 1, makes the tests see no server, as on a machine without any."""

BEHIND = "TEST_POSTGRESQL_URL"
"""The variable that tells PgBouncer's keeper of the server that it is for."""


class NotInstalledError(LookupError):
    """A server's program is not on this machine."""


@dataclass(frozen=True)
class Recipe:
    """How one node of a server is made in a folder, run in the foreground, and talked to."""

    user: str  # whom root runs it as: all of them refuse root
    url: str
    command: Callable[[Path], Sequence[str]]
    stop_signal: signal.Signals
    prepare: Callable[[], None]  # makes the login APP; raises the driver's error until it answers
    initialize: Callable[[Path], Sequence[str]] | None = None
    log: str = "log"


def find_binary(name: str) -> str:
    """Return the path of a server's program or library, or raise NotInstalledError."""
    if os.environ.get(HIDE) == "1":
        raise NotInstalledError(name)
    debian = glob.glob("/usr/lib/postgresql/*/bin")
    debian.sort(key=lambda folder: float(Path(folder).parent.name), reverse=True)
    libraries = ["/usr/lib/galera", "/usr/lib64/galera"]
    folders = [os.environ.get("PATH", os.defpath), *debian, "/usr/sbin", *libraries]
    mode = os.F_OK if name.endswith(".so") else os.F_OK | os.X_OK
    found = shutil.which(name, mode, path=os.pathsep.join(folders))
    if found is None:
        raise NotInstalledError(name)
    return found


def _free_ports(number: int) -> list[int]:
    """Return ports that nobody has, nor gets by chance: they are below those for clients."""
    found: list[int] = []
    for port in random.sample(range(15000, 32000), 1000):
        with suppress(OSError), socket.create_server((HOST, port)):
            found.append(port)
        if len(found) == number:
            return found
    raise SystemExit("there are no free ports")


FEW_LOCKS = {
    "max_locks_per_transaction": "10",
    "max_connections": "12",
    "autovacuum_max_workers": "1",
    "max_worker_processes": "1",
    "max_wal_senders": "0",
}
"""Settings of a PostgreSQL whose transactions can lock a few hundred tables and indexes at most."""


def _make_postgresql(**more: str) -> list[Recipe]:
    [port] = _free_ports(1)
    return [
        Recipe(
            user="postgres",
            url=f"postgresql+psycopg://postgres@{HOST}:{port}",
            initialize=_initialize_postgresql,
            command=partial(_postgresql, port=port, **more),
            stop_signal=signal.SIGQUIT,  # at once, and its shared memory is released
            prepare=partial(
                _ask_postgresql, port, f"CREATE ROLE {APP} LOGIN PASSWORD '{APP_PASSWORD}'"
            ),
        )
    ]


def _initialize_postgresql(folder: Path) -> Sequence[str]:
    return [
        *(find_binary("initdb"), "-D", str(folder / "data"), "-U", "postgres", "--no-sync"),
        *("-E", "UTF8", "--locale=C.UTF-8", "-A", "trust"),
    ]


def _postgresql(folder: Path, *, port: int, **more: str) -> Sequence[str]:
    rules = folder / "pg_hba.conf"
    rules.write_text(
        f"host all postgres {HOST}/32 trust\nhost all all {HOST}/32 scram-sha-256\n",
        encoding="utf-8",
    )
    rules.chmod(0o644)
    options = {
        "listen_addresses": HOST,
        "port": port,
        "unix_socket_directories": folder,
        "hba_file": rules,
        "password_encryption": "scram-sha-256",
        "fsync": "off",
        "full_page_writes": "off",
        "synchronous_commit": "off",
        "max_wal_size": "256MB",
        **more,
    }
    settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    return [find_binary("postgres"), "-D", str(folder / "data"), *settings]


def _ask_postgresql(port: int, statement: str) -> None:
    with psycopg.connect(
        host=HOST, port=port, user="postgres", dbname="postgres", autocommit=True
    ) as connection:
        connection.execute(statement)


def _make_mariadb() -> list[Recipe]:
    [port] = _free_ports(1)
    return [
        Recipe(
            user="mysql",
            url=f"mysql+pymysql://root@{HOST}:{port}",
            initialize=_initialize_mariadb,
            command=partial(_mariadb, port=port),
            stop_signal=signal.SIGKILL,  # its data goes the same way
            prepare=partial(_ask_mariadb, port, MAKE_APP),
        )
    ]


def _initialize_mariadb(folder: Path, node: str = "") -> Sequence[str]:
    return [
        *(find_binary("mariadb-install-db"), "--no-defaults", f"--datadir={folder / 'data'}{node}"),
        *("--auth-root-authentication-method=normal", "--skip-test-db"),
        f"--tmpdir={folder}",  # in a shared one, two at once delete each other's tables
    ]


def _mariadb(folder: Path, node: str = "", *, port: int) -> Sequence[str]:
    return [
        *(find_binary("mariadbd"), "--no-defaults", f"--datadir={folder / 'data'}{node}"),
        *(f"--port={port}", f"--bind-address={HOST}", "--skip-name-resolve"),
        *(f"--socket={folder / 'socket'}{node}", f"--pid-file={folder / 'pid'}{node}"),
        *(f"--tmpdir={folder}", "--character-set-server=utf8mb4"),
        "--innodb-flush-log-at-trx-commit=0",
    ]


MAKE_APP = f"CREATE USER {APP}@'%' IDENTIFIED BY '{APP_PASSWORD}'"


def _ask_mariadb(port: int, statement: str) -> tuple[Any, ...] | None:
    with closing(pymysql.connect(host=HOST, port=port, user="root")) as connection:
        cursor = connection.cursor()
        cursor.execute(statement)
        return cursor.fetchone()


def _make_galera() -> list[Recipe]:
    """Return the nodes in the order in which they start: the later ones copy the first's data."""
    ports = _free_ports(4 * NODES)
    owned = [ports[4 * number : 4 * number + 4] for number in range(NODES)]
    group = ",".join(f"{HOST}:{in_group}" for _, in_group, _, _ in owned)
    return [
        Recipe(
            user="mysql",
            url=f"mysql+pymysql://root@{HOST}:{own[0]}",
            initialize=partial(_make_folder if number else _initialize_mariadb, node=str(number)),
            command=partial(_galera, node=str(number), ports=own, group=group),
            stop_signal=signal.SIGKILL,
            prepare=partial(_prepare_galera, own[0], first=not number),
            log=f"log{number}",
        )
        for number, own in enumerate(owned)
    ]


def _make_folder(folder: Path, node: str) -> Sequence[str]:
    return ["mkdir", f"{folder / 'data'}{node}"]


def _galera(folder: Path, node: str, ports: Sequence[int], group: str) -> Sequence[str]:
    port, in_group, incremental, copy = ports
    provider = {
        "gmcast.listen_addr": f"tcp://{HOST}:{in_group}",
        "ist.recv_addr": f"{HOST}:{incremental}",
        "gcache.size": "32M",
    }
    return [
        *_mariadb(folder, node, port=port),
        *("--binlog-format=ROW", "--innodb-autoinc-lock-mode=2", "--wsrep-on=ON"),
        *(f"--wsrep-provider={find_binary(GALERA)}", f"--wsrep-cluster-address=gcomm://{group}"),
        f"--wsrep-provider-options={';'.join(f'{k}={v}' for k, v in provider.items())}",
        *(f"--wsrep-node-address={HOST}", f"--wsrep-node-incoming-address={HOST}:{port}"),
        *("--wsrep-sst-method=rsync", f"--wsrep-sst-receive-address={HOST}:{copy}"),
        *(["--wsrep-new-cluster"] if node == "0" else []),
    ]


def _prepare_galera(port: int, *, first: bool) -> None:
    state = _ask_mariadb(port, "SHOW STATUS LIKE 'wsrep_local_state_comment'")
    if state is None or state[1] != "Synced":
        raise pymysql.OperationalError(f"not yet: {state}")
    if first:
        _ask_mariadb(port, MAKE_APP)


def _make_pgbouncer() -> list[Recipe]:
    [port] = _free_ports(1)
    return [
        Recipe(
            user="postgres",
            url=f"postgresql+psycopg://postgres@{HOST}:{port}",
            command=partial(_pgbouncer, port=port),
            stop_signal=signal.SIGTERM,
            prepare=partial(_ask_postgresql, port, "SELECT 1"),
        )
    ]


def _pgbouncer(folder: Path, *, port: int) -> Sequence[str]:
    """Give a client another session of the server for each transaction, as the same user."""
    server = urlsplit(os.environ[BEHIND])
    target = {
        "host": server.hostname,
        "port": server.port or 5432,
        "user": unquote(server.username or "postgres"),
        "password": unquote(server.password or ""),
    }
    values = " ".join(f"{key}='{value}'" for key, value in target.items() if value)
    options = {
        "listen_addr": HOST,
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": "transaction",
    }
    settings = "".join(f"{key} = {value}\n" for key, value in options.items())
    file = folder / "pgbouncer.ini"
    file.write_text(f"[databases]\n* = {values}\n\n[pgbouncer]\n{settings}", encoding="utf-8")
    file.chmod(0o644)
    return [find_binary("pgbouncer"), str(file)]


PROGRAMS = {
    "postgresql": ("initdb", "postgres"),
    "few_locks": ("initdb", "postgres"),
    "mariadb": ("mariadb-install-db", "mariadbd"),
    "galera": ("mariadb-install-db", "mariadbd", "rsync", GALERA),
    "pgbouncer": ("pgbouncer",),
}
"""What each kind of server needs."""

RECIPES = {
    "postgresql": _make_postgresql,
    "few_locks": partial(_make_postgresql, **FEW_LOCKS),
    "mariadb": _make_mariadb,
    "galera": _make_galera,
    "pgbouncer": _make_pgbouncer,
}
