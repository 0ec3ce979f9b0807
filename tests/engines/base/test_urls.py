"""URLs as people write them, made ready for a driver that is installed, shown without secrets."""

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbtasks.engines import backend_for, mask, mask_text, parse, secrets_of
from dbtasks.engines.base.backend import Backend, Driver
from dbtasks.engines.base.urls import choose_driver
from dbtasks.engines.sqlite.backend import SQLite
from dbtasks.errors import UsageError

ROOT = Path("/project")


def resolved(text: str) -> str:
    return backend_for(text, "a test", ROOT).url.render_as_string(hide_password=False)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("postgres://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgres+psycopg2://u@h/d", "postgresql+psycopg2://u@h/d"),
        ("postgresql+asyncpg://u@h/d?ssl=require", "postgresql+psycopg://u@h/d?sslmode=require"),
        ("postgresql+asyncpg://u@h/d?ssl=true", "postgresql+psycopg://u@h/d?sslmode=require"),
        ("postgresql+asyncpg://u@h/d?timeout=5", "postgresql+psycopg://u@h/d?connect_timeout=5"),
        ("postgresql+asyncpg://u@h/d?statement_cache_size=0", "postgresql+psycopg://u@h/d"),
        ("mysql://u@h/d", "mysql+pymysql://u@h/d?charset=utf8mb4"),
        ("mariadb://u@h/d", "mariadb+pymysql://u@h/d?charset=utf8mb4"),
        ("mysql+aiomysql://u@h/d", "mysql+pymysql://u@h/d?charset=utf8mb4"),
        ("mysql+asyncmy://u@h/d?charset=latin1", "mysql+pymysql://u@h/d?charset=latin1"),
        ("sqlite:///app.db", "sqlite+pysqlite:////project/app.db"),
        ("sqlite:////abs/app.db", "sqlite+pysqlite:////abs/app.db"),
        ("sqlite+aiosqlite:///data/../app.db", "sqlite+pysqlite:////project/app.db"),
    ],
)
def test_url_is_resolved(given: str, expected: str) -> None:
    assert resolved(given) == expected


@pytest.mark.parametrize(
    "text", ["sqlite://", "sqlite:///:memory:", "sqlite:///file::memory:?uri=true"]
)
def test_memory_is_memory(text: str) -> None:
    assert backend_for(text, "a test", ROOT).in_memory


@pytest.mark.parametrize(
    "text", ["", "hello", "postgresql://bob:p@ss@h:abc/d", "://x", "postgresql://[::1/d"]
)
def test_unreadable_url_is_refused_without_its_text(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        backend_for(text, "environment: DATABASE_URL", ROOT)
    assert "environment: DATABASE_URL" in caught.value.message
    assert caught.value.__cause__ is None
    assert "p@ss" not in str(caught.value)


CUT = [
    "postgresql://postgres:p@ss/w@127.0.0.1/x",
    "postgresql://postgres:p@ss?w@127.0.0.1/x",
    "mysql+pymysql://u:p/w@ss@h/d",
    "oracle://u:p@ss/w@h/?service_name=x",
]
"""URLs with an @ in the password that is not percent-encoded."""


@pytest.mark.parametrize("text", CUT)
def test_at_in_the_password_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(UsageError, match="cannot be read") as caught:
        parse(text, "a test")
    assert "write @ : / % in a password as %40" in str(caught.value.hint)


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////home/me@work/app.db",
        "sqlite:///app@1.db?mode=ro",
        "postgresql://user@server:pw@h/d",  # as Azure has it
        "postgresql://u:p%40ss@h/d?application_name=me@host",
        "postgresql:///d?host=/run/a@b",
    ],
)
def test_at_elsewhere_is_taken(text: str) -> None:
    assert parse(text, "a test")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (CUT[0], "postgresql://postgres:***@127.0.0.1/x"),
        (CUT[1], "postgresql://postgres:***@127.0.0.1/x"),
        ("see POSTGRES://U:PW@H/D_URL.", "see POSTGRES://U:***@H/D_URL."),
        ("'postgresql://u:s3cr3t@h/d' is bad", "'postgresql://u:***@h/d' is bad"),
        ("mysql://h/d?charset=x&init_command=y", "mysql://h/d?charset=x&init_command=***"),
        ("postgresql+asyncpg://h/d?api_key=k", "postgresql+asyncpg://h/d?api_key=***"),
        ("amqp://u:s3cr3t@h/?x=1", "amqp://u:***@h/?x=1"),
        ("postgresql://user@h/d", "postgresql://user@h/d"),
        ("sqlite:///C:/me@work/app.db", "sqlite:///C:/me@work/app.db"),
        ("https://example.org/?q=1#a", "https://example.org/?q=1#a"),
    ],
)
def test_secrets_in_a_text(text: str, shown: str) -> None:
    assert mask_text(text) == shown


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("sslmode=require&options=-csearch_path%3Ds", "options=***&sslmode=require"),
        ("api_key=abc&connect_timeout=3", "api_key=***&connect_timeout=3"),
        ("whatever=1&application_name=shop", "application_name=shop&whatever=***"),
        ("application_name=u:p@h", "application_name=***"),
        ("PASSFILE=/x&SSLMODE=require", "PASSFILE=***&SSLMODE=require"),
    ],
)
def test_key_that_is_not_known_to_be_harmless_is_masked(query: str, shown: str) -> None:
    found = mask(parse(f"postgresql://h/d?{query}", "a test"))
    assert sorted(found.partition("?")[2].split("&")) == sorted(shown.split("&"))


def test_unknown_database_is_refused() -> None:
    with pytest.raises(UsageError, match="knows no database 'nosuch'"):
        resolved("nosuch://h/d")


def test_driver_that_only_sqlalchemy_knows_stays() -> None:
    assert resolved("postgresql+pg8000://u@h/d") == "postgresql+pg8000://u@h/d"
    assert backend_for("postgresql+pg8000://u@h/d", "a test", ROOT).engine_options() == {}


def test_asynchronous_driver_without_a_synchronous_twin_is_refused() -> None:
    with pytest.raises(UsageError, match="asynchronous"):
        resolved("mssql+aioodbc://u@h/d")


def test_missing_driver_says_what_to_install() -> None:
    class Unheard(Backend):
        title = "Unheard"
        drivers = (Driver("sound", "no_such_module", "sound-driver[binary]"),)

    with pytest.raises(UsageError) as caught:
        choose_driver(parse("postgresql://h/d", "a test"), Unheard)
    assert caught.value.hint == 'pip install "sound-driver[binary]"'
    assert caught.value.exit_code == 2


SECRET = st.text(max_size=30).filter(str.isprintable).map("s3cr3t/{}".format)


@given(SECRET, st.sampled_from(["password", "sslpassword", "passwd", "access_token"]))
def test_mask_hides_every_secret(secret: str, key: str) -> None:
    """The password and the query's secrets, in the plain and in the quoted form."""
    quoted = quote(secret, safe="")
    url = parse(f"postgresql://user:{quoted}@host/name?{key}={quoted}&sslmode=require", "a test")
    shown = mask(url)
    assert secret not in shown
    assert quoted not in shown
    assert "sslmode=require" in shown
    assert secret in secrets_of(url)


@pytest.mark.parametrize("name", ["a b.db", "a%20b.db", "what?.db", "a#b.db", "ü→.db", "a+b.db"])
def test_path_may_have_any_characters(tmp_path: Path, name: str) -> None:
    """A command that reads opens the file by a URI, which must name the same file."""
    from sqlalchemy import URL, create_engine, text

    backend = SQLite(URL.create("sqlite", database=name), tmp_path)
    for create in (True, False):
        engine = create_engine(backend.connect_url(create=create))
        with engine.connect() as connection:
            found = connection.execute(text("PRAGMA database_list")).one()[2]
            connection.execute(text("CREATE TABLE IF NOT EXISTS t (x)"))
        engine.dispose()
        assert Path(found) == tmp_path / name
    assert [path.name for path in tmp_path.iterdir()] == [name]
