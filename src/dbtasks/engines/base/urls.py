"""Database URLs: read, made ready for a driver that is installed, and shown without secrets."""

import re
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from dbtasks.engines.base.backend import Backend
from dbtasks.errors import UsageError

SECRET_KEYS = re.compile(
    r"pass|pwd|secret|token|credential|odbc_connect|(api|access|hex|private)_?key|^key$",
    re.IGNORECASE,
)
SHORT_SECRET = 6
MASK = "***"

# Up to a blank or a quote: a message that has a URL goes on after it.
URL_TEXT = re.compile(r"\b([a-z][a-z0-9+.\-]*://)([^\s'\"<>]+)", re.IGNORECASE)
SQLITE = b"SQLite format 3\0"
"""How a SQLite database begins (https://www.sqlite.org/fileformat.html)."""

BESIDE = re.compile(r"-(wal|shm|journal)\Z")
"""What the names of the files end in that belong to a SQLite database."""

QUERY_TEXT = re.compile(r"([?&])([^=&?#]+)=([^&\s]*)")

_POSTGRESQL = """
    host hostaddr port dbname user service sslmode sslrootcert sslcert sslkey sslcrl sslcrldir
    sslcompression sslsni sslcertmode sslnegotiation ssl_min_protocol_version
    ssl_max_protocol_version channel_binding require_auth requirepeer krbsrvname gsslib gssencmode
    gssdelegation target_session_attrs load_balance_hosts connect_timeout client_encoding
    application_name fallback_application_name keepalives keepalives_idle keepalives_interval
    keepalives_count tcp_user_timeout replication min_protocol_version max_protocol_version
    autocommit prepare_threshold ssl timeout command_timeout statement_cache_size
    prepared_statement_cache_size
"""
_MYSQL = """
    host port user db database unix_socket named_pipe charset collation use_unicode
    connect_timeout read_timeout write_timeout max_allowed_packet local_infile ssl ssl_ca ssl_capath
    ssl_cert ssl_key ssl_cipher ssl_mode ssl_disabled ssl_check_hostname ssl_verify_cert
    ssl_verify_identity tls_versions sql_mode client_flag compress binary_prefix bind_address
    program_name read_default_file read_default_group autocommit
"""
_ORACLE = """
    host port user service_name sid protocol mode events purity cclass encoding nencoding threaded
    arraysize auto_convert_lobs coerce_to_decimal retry_count retry_delay tcp_connect_timeout
    ssl_server_dn_match ssl_server_cert_dn ssl_version config_dir wallet_location
"""
_SQLITE = """
    mode cache immutable nolock psow vfs modeof uri timeout check_same_thread detect_types
    isolation_level cached_statements
"""
_MSSQL = """
    driver encrypt trustservercertificate applicationintent charset timeout trusted_connection
    multisubnetfailover
"""

HARMLESS = {
    "postgres": frozenset(_POSTGRESQL.split()),
    "postgresql": frozenset(_POSTGRESQL.split()),
    "mysql": frozenset(_MYSQL.split()),
    "mariadb": frozenset(_MYSQL.split()),
    "oracle": frozenset(_ORACLE.split()),
    "sqlite": frozenset(_SQLITE.split()),
    "mssql": frozenset(_MSSQL.split()),
}
"""The keys of a query that hold no secret, by the drivers of each database; all others may.

`options`, `init_command`, `odbc_connect` and `passfile` are not among them: what they hold is free.
"""


SERVER_URL = (
    "it looks like postgresql://user:password@host:5432/name; "
    "write @ : / % in a password as %40 %3A %2F %25"
)
FILE_URL = (
    "it looks like sqlite:///app.db, a file beside tasks.py, or sqlite:////srv/app.db, "
    "an absolute path"
)


def parse(text: str, source: str) -> URL:
    """Read a URL; `source` names where it came from, as the text itself may hold a password."""
    try:
        url = make_url(text)
        _ = url.port
        if _is_cut(text, url):
            raise ValueError
    except (ArgumentError, ValueError):
        file = re.match(r"sqlite\b", text.strip(), re.IGNORECASE)
        raise UsageError(
            f"the database URL cannot be read ({source})", hint=FILE_URL if file else SERVER_URL
        ) from None  # the cause's words may hold the password
    return url.set(drivername=re.sub(r"^postgres(?=$|\+)", "postgresql", url.drivername))


def _is_cut(text: str, url: URL) -> bool:
    """Whether an @ in the password has cut it: the rest is in the host, the name or the query.

    The path of a file may have an @, where no server is named, and a value in the query.
    """
    if not (url.host or url.username or url.password is not None):
        return False
    query = text.partition("@")[2].partition("?")[2].split("&")
    rest = (url.host, url.database, *(one.partition("=")[0] for one in query))
    return any("@" in one for one in rest if one)


def choose_driver(url: URL, backend: type[Backend]) -> URL:
    """Return the URL on a synchronous driver that is installed.

    A URL with an asynchronous driver goes to the synchronous one of the same database, with
    its query translated; a driver that only SQLAlchemy knows stays. Raises UsageError with the
    line that installs a missing driver.
    """
    driver = url.drivername.partition("+")[2]
    if driver in backend.async_drivers:
        url = backend.translate_async(url)
        driver = ""
    candidates = [one for one in backend.drivers if driver in ("", one.name)]
    if not candidates:
        return check_dialect(url)
    for one in candidates:
        if find_spec(one.module) is not None:
            return url.set(drivername=f"{url.get_backend_name()}+{one.name}")
    raise UsageError(
        f"the driver for {backend.title} is not installed ({candidates[0].name})",
        hint=f'pip install "{candidates[0].package}"',
    )


def check_dialect(url: URL) -> URL:
    """Return the URL if SQLAlchemy has a synchronous dialect for it; raise UsageError if not."""
    try:
        dialect = url.get_dialect()
    except NoSuchModuleError:
        raise UsageError(
            f"SQLAlchemy knows no database {url.drivername!r}",
            hint="take sqlite, postgresql, mysql, mariadb or oracle, or install the package of "
            "the dialect",
        ) from None
    if dialect.is_async:
        raise UsageError(
            f"{url.drivername!r} is an asynchronous driver", hint="give the URL a synchronous one"
        )
    return url


def mask(url: URL) -> str:
    """Return the URL as text, with its password and what its query may hide shown as ***.

    Of the query only keys that are known to be harmless are shown. User names are not secret.
    """
    shown = HARMLESS.get(url.get_backend_name(), frozenset())
    hidden = {
        key: MASK
        for key, value in url.query.items()
        if key.lower() not in shown or "@" in str(value)
    }
    text = url.update_query_dict(hidden).render_as_string(hide_password=True)
    return text.replace("%2A%2A%2A", MASK).replace("%3Amemory%3A", ":memory:")


def mask_text(text: str) -> str:
    """Return a text with the secrets of all URLs in it hidden, also of those that are not valid.

    What is before the last @ of a URL, and after its first colon, is a password or a part of one.
    """
    return URL_TEXT.sub(_masked, text) if "://" in text else text


def _masked(match: re.Match[str]) -> str:
    scheme, rest = match[1], match[2]
    head, at, tail = rest.rpartition("@")
    user, colon, _ = head.partition(":")
    if at and colon and not rest.startswith("/"):  # the path of a file has no user
        rest = f"{user}:{MASK}@{tail}"
    shown = HARMLESS.get(re.split(r"[+:]", scheme.lower())[0])
    if shown is None:
        return f"{scheme}{rest}"
    return scheme + QUERY_TEXT.sub(
        lambda one: one[0] if one[2].lower() in shown else f"{one[1]}{one[2]}={MASK}", rest
    )


def secrets_of(url: URL) -> tuple[str, ...]:
    """Return the texts that must never be printed: passwords, plain and as the URL has them."""
    shown = HARMLESS.get(url.get_backend_name(), frozenset())
    values = [url.password] if url.password else []
    for key, value in url.query.items():
        listed = [value] if isinstance(value, str) else value
        if SECRET_KEYS.search(key):
            values.extend(listed)
        elif key.lower() not in shown:
            # A short one, as ?foo=1, is no secret that could be told from other text.
            values.extend(one for one in listed if len(one) >= SHORT_SECRET)
    quoted = [
        URL.create("x", password=value, username="u").render_as_string(False) for value in values
    ]
    return tuple({*values, *(text.removeprefix("x://u:").rstrip("@") for text in quoted)})


def secret_of_text(text: str) -> str | None:
    """Return what a URL has before its last @ and after its first colon, whatever it is."""
    head, at, _ = text.partition("://")[2].rpartition("@")
    return head.partition(":")[2] or None if at else None


def refuse_database(path: Path, target: Path) -> None:
    """Raise UsageError for a file, or what a path leads to, that is part of a SQLite database."""
    database = target.with_name(BESIDE.sub("", target.name))
    if not database.is_file():
        return
    with suppress(OSError), database.open("rb") as stream:
        if stream.read(len(SQLITE)) == SQLITE:
            raise UsageError(
                f"{path} belongs to the SQLite database {database}, which is not written over",
                hint="give the path of another file",
            )


def resolve_path(database: str, root: Path) -> Path:
    """Return a SQLite path as an absolute one; a relative one starts at the project's root."""
    return (root / database).resolve()
