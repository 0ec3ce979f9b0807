"""What goes wrong is said in three lines, with the documented code, and changes nothing."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from conftest import Database, Result, clean_environment
from trees import FIRST, add_revision, paths

Inv = Callable[..., Result]


def check(done: Result, code: int, *words: str, out: str = "") -> None:
    """Assert the shape of every error: what, hint, state; no traceback, no password."""
    assert done.code == code, done
    told = [line for line in done.err.splitlines() if not line.startswith("database: ")]
    assert [line.partition(":")[0] for line in told] == ["error", "hint", "state"], done.err
    for word in words:
        assert word in done.err
    assert "Traceback" not in done.err + done.out
    assert "s3cr3t" not in done.err + done.out
    assert done.out == out


@pytest.fixture
def nothing_made(company: Path) -> object:
    """Assert after the test that no file was made."""
    before = paths(company)
    yield
    assert paths(company) == before


def unused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


CASES: list[tuple[list[str], dict[str, str], int, list[str]]] = [
    (["migrate"], {"DBTASKS_ENV": "production"}, 2, ["DATABASE_URL is not set", "production"]),
    (["migrate"], {"DATABASE_URL": ""}, 2, ["DATABASE_URL is set but empty"]),
    (["migrate"], {"DBTASKS_ENV": ""}, 2, ["DBTASKS_ENV is set but empty"]),
    (["migrate", "--database", "nope"], {}, 2, ["'nope'", "NOPE_DATABASE_URL"]),
    (["migrate", "--database="], {}, 2, ["--database needs a value"]),
    (["copydata", "--from", "all", "--to", "default"], {}, 2, ["'all' names every database"]),
    (["copydata", "--from", "default", "--to", "all"], {}, 2, ["'all' names every database"]),
    (["query", "--model="], {}, 2, ["--model needs a value"]),
    (["query", "--where="], {}, 2, ["--where needs a value"]),
    (["query"], {"DATABASE_URL": "postgresql://u:s3cr3t@x@h:a/d"}, 2, ["cannot be read"]),
    (["query"], {"DATABASE_URL": "nonsense s3cr3t"}, 2, ["cannot be read"]),
    (["query"], {"DATABASE_URL": "postgresql://u:p@s3cr3t/s3cr3t@h/d"}, 2, ["as %40"]),
    (
        ["query"],
        {"INVOKE_DB_URL_VARIABLE": "mysql://u:s3cr3t@h/d", "DBTASKS_ENV": "production"},
        2,
        ["://u:***@h/d is not"],
    ),
    (
        ["query"],
        {"DBTASKS_DATABASE": "mysql://u:s3cr3t@h/d"},
        2,
        ["'mysql://u:***@h/d'"],
    ),
    (["query"], {"INVOKE_DB_METADATA": "leak:Base"}, 2, ["mysql://u:***@h/d"]),
    (["query"], {"DATABASE_URL": "nosuch://u:s3cr3t@h/d"}, 2, ["knows no database 'nosuch'"]),
    (["migrate"], {"DATABASE_URL": "sqlite:///no/such/x.db"}, 5, ["there is no folder", "mkdir"]),
    (["query"], {}, 5, ["there is no database file", "inv migrate"]),
    (["seed"], {}, 5, ["there is no database file", "inv migrate"]),
    (["waitdb"], {}, 5, ["there is no database file"]),
    (["waitdb", "--timeout", "soon"], {}, 2, ["'soon'"]),
    (["query", "--model", "Employe"], {}, 2, ["no model 'Employe'", "did you mean Employee?"]),
    (["query", "--where", "nam=x"], {}, 2, ["no field 'nam'", "did you mean name?"]),
    (["query", "--where", "id=x"], {}, 2, ["id='x'", "Integer"]),
    (["query", "--limit", "x"], {}, 2, ["--limit 'x'"]),
    (["query", "--limit=-1"], {}, 2, ["--limit '-1'"]),
    (["query", "--limit", "9" * 5000], {}, 2, ["--limit"]),
    (["query", "--format", "nope"], {}, 2, ["--format 'nope'", "jsonl"]),
    (["query", "--name", os.fsdecode(b"\xff")], {}, 2, ["not valid UTF-8"]),
    (["migrate", "--to", "nope"], {}, 2, ["'nope'"]),
    (["seed", "--only", "nope"], {}, 2, ["no seed 'nope'"]),
    (["query"], {"INVOKE_DB_METADATA": "company.modls:Base"}, 2, ["no module 'company.modls'"]),
    (["query"], {"INVOKE_DB_METADATA": "company.models:Bse"}, 2, ["company.models:Bse"]),
    (["query"], {"INVOKE_DB_METADATA": "company.models"}, 2, ["module:attribute"]),
    (["query"], {"INVOKE_DB_DATABASES": "abc"}, 2, ["databases is of type str"]),
    (["migrate"], {"DATABASE_URL": "postgresql://u:s3cr3t@3t@h/d"}, 2, ["cannot be read"]),
    (["query"], {"DATABASE_URL": "mssql+pyodbc://u:s3cr3t@h/d"}, 2, ["pip install"]),
    (["query"], {"DATABASE_URL": "sqlite:///:memory:?timeout=abc"}, 2, ["does not take this URL"]),
]


@pytest.fixture
def leak(company: Path) -> None:
    """Add a module of the project's own that quotes a URL as it fails."""
    (company / "src" / "leak.py").write_text("raise ValueError('mysql://u:s3cr3t@h/d is bad')\n")


@pytest.mark.usefixtures("leak", "nothing_made")
@pytest.mark.parametrize(
    ("arguments", "env", "code", "words"),
    CASES,
    ids=[" ".join([*arguments, *env.values()])[:50] for arguments, env, *_ in CASES],
)
def test_mistake(
    inv: Inv, arguments: list[str], env: dict[str, str], code: int, words: list[str]
) -> None:
    check(inv(*arguments, env=env), code, *words)


@pytest.mark.usefixtures("nothing_made")
@pytest.mark.parametrize("scheme", ["postgresql+psycopg", "postgresql+psycopg2", "mysql"])
@pytest.mark.parametrize("command", ["query", "migrate", "seed", "waitdb", "showmigrations"])
def test_host_that_is_down(inv: Inv, scheme: str, command: str) -> None:
    url = f"{scheme}://someone:s3cr3t@127.0.0.1:{unused_port()}/shop"
    check(inv(command, env={"DATABASE_URL": url}), 5, "cannot connect", "inv waitdb")


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_wrong_password_and_unknown_database(inv: Inv, database: Database) -> None:
    scheme, _, rest = database.url.partition("://")
    place = rest.partition("@")[2]
    wrong = f"{scheme}://app:s3cr3t@{place}"
    check(inv("query", env={"DATABASE_URL": wrong}), 5, "check the user and the password")
    unknown = f"{database.url}_not_there"
    check(inv("query", env={"DATABASE_URL": unknown}), 5, "fix its name")


def test_missing_driver_says_what_to_install(inv: Inv) -> None:
    if find_spec("oracledb") is not None:
        pytest.skip("uninstall oracledb: this shows what happens without it")
    done = inv("query", env={"DATABASE_URL": "oracle://scott:s3cr3t@h/?service_name=x"})
    check(done, 2, 'pip install "oracledb"')


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_query_before_migrate(inv: Inv, database: Database) -> None:
    check(inv("query", env={"DATABASE_URL": database.url}), 8, "employee", "inv migrate")


def test_project_without_a_default_url(inv: Inv, company: Path) -> None:
    (company / "tasks.py").write_text(
        'from dbtasks import collection\nns = collection(metadata="company.models:Base")\n'
    )
    check(inv("migrate"), 2, "DATABASE_URL is not set")
    check(inv("query"), 2, "no model is named", "Department, Employee")
    assert list(company.glob("*.db")) == []


def test_traceback_is_shown_when_wanted_and_keeps_the_secret(inv: Inv) -> None:
    url = f"postgresql://someone:s3cr3t@127.0.0.1:{unused_port()}/shop?password=s3cr3t2"
    done = inv("query", "--traceback", env={"DATABASE_URL": url})
    assert (done.code, done.err.startswith("Traceback")) == (5, True)
    assert "s3cr3t" not in done.err
    done = inv("query", "--traceback", env={"DATABASE_URL": "postgresql://u:s3cr3t@x@h:s3cr3t/d"})
    assert (done.code, "s3cr3t" in done.err) == (2, False)


@pytest.mark.parametrize("url", ["postgresql://u:p@s3cr3t/s3@h/d", "postgresql://u:s3cr3t@h:x/d"])
def test_no_output_has_the_password(inv: Inv, url: str) -> None:
    env = {"DATABASE_URL": url, "INVOKE_DB_DEFAULT_URL": url, "DBTASKS_ENV": "production"}
    for arguments in (
        ["settings"],
        ["query", "--traceback"],
        ["migrate", "--echo"],
        ["-d", "query"],
    ):
        done = inv(*arguments, env=env)
        assert "s3cr3t" not in done.out + done.err, (arguments, done)


def test_journal_and_echo_have_no_password_of_a_url(inv: Inv) -> None:
    assert inv("migrate", "protect", "--as", "test").code == 0
    env = {"DBTASKS_ENV": "test"}
    where = "name=mysql://u:s3cr3t@h/d"
    done = inv("delete", "--where", where, "--expect", "0", "--echo", env=env)
    assert (done.code, "s3cr3t" in done.err) == (0, False), done
    shown = inv("sql", "--statement", "SELECT command FROM dbtasks_journal", env=env)
    assert "delete --model Employee --where name=mysql://u:***@h/d --expect 0" in shown.out


def test_settings_hides_secrets_and_survives_a_missing_url(inv: Inv) -> None:
    env = {"DATABASE_URL": "postgresql://u:s3cr3t@h/d?sslpassword=s3cr3t", "DBTASKS_ENV": "staging"}
    done = inv("settings", "--format", "csv", env=env)
    assert done.code == 0
    assert "postgresql+psycopg://u:***@h/d?sslpassword=***" in done.out
    assert "environment,staging,environment: DBTASKS_ENV" in done.out
    done = inv("settings", env={"DBTASKS_ENV": "production"})
    assert (done.code, "DATABASE_URL is not set" in done.out) == (0, True)


def test_broken_revision(inv: Inv, company: Path) -> None:
    add_revision(company, "0002_broken", 'op.execute("SELECT nonsense")')
    done = inv("migrate")
    shown = "Applying 0001_department_employee ... OK (0."
    assert (done.code, done.out.startswith(shown)) == (8, True)
    assert done.out.splitlines()[1] == "Applying 0002_broken ... FAILED"
    assert "state: rolled back, 0 of 2 applied" in done.err


def test_code_of_the_project_that_raises(inv: Inv, company: Path) -> None:
    (company / "src" / "company" / "seeds.py").write_text("def seed(session):\n    1 / 0\n")
    inv("migrate")
    check(inv("seed"), 2, "company.seeds:seed raised ZeroDivisionError", "seeds.py, line 2")


NOT_IMPORTED = {
    "import nothing_there": (
        "No module named 'nothing_there'",
        "fix the import, or install the package that has",
    ),
    "from datetime import nothing": ("cannot import name 'nothing'", "fix "),
    "def": ("invalid syntax", "fix "),
}


@pytest.mark.parametrize(("line", "words"), NOT_IMPORTED.items(), ids=NOT_IMPORTED)
def test_code_that_cannot_be_imported(
    inv: Inv, company: Path, line: str, words: tuple[str, str]
) -> None:
    models = company / "src" / "company" / "models.py"
    revision = company / "migrations" / "versions" / f"{FIRST}.py"
    for broken, commands in (
        (models, (["makemigrations", "--check"], ["showmigrations"], ["query"])),
        (revision, (["makemigrations", "--check"], ["migrate"], ["showmigrations"])),
    ):
        source = broken.read_text()
        number = source.index('"""', 3) + 3
        broken.write_text(f"{source[:number]}\n{line}\n{source[number:]}")
        at = source[:number].count("\n") + 2
        for command in commands:
            said = f"cannot be imported: {words[0]}", f"{broken}, line {at})", f"hint: {words[1]}"
            check(inv(*command), 2, *said, "state: nothing was changed")
        broken.write_text(source)


def test_full_disk_on_stdout(inv: Inv, company: Path) -> None:
    inv("migrate", "seed")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "invoke", "query", "--format", "csv"],
            cwd=company,
            env=clean_environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 9
    assert "error: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_reader_that_goes_away_ends_it_quietly(inv: Inv, company: Path) -> None:
    inv("migrate", "seed")
    process = subprocess.Popen(
        [sys.executable, "-m", "invoke", "query", "--format", "csv"],
        cwd=company,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait() == 141
    assert process.stderr is not None
    assert process.stderr.read() == "2 records\n"
    process.stderr.close()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_interrupted_migration_leaves_nothing(
    inv: Inv, company: Path, number: signal.Signals, code: int
) -> None:
    """Killed, too: the next run starts from where the first one did."""
    path = add_revision(
        company,
        "0002_slow",
        'op.create_table("slow", sa.Column("id", sa.Integer()))\n'
        'open("started", "w").close()\n'
        "import time; time.sleep(30)",
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "invoke", "migrate"],
        cwd=company,
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (company / "started").exists():
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(10) == code
    assert process.stderr is not None
    said = process.stderr.read()
    process.stderr.close()
    if number is not signal.SIGKILL:
        assert said.splitlines()[-2:] == [
            "error: interrupted",
            "state: rolled back, 0 of 2 applied",
        ]
    path.write_text(path.read_text().replace("time.sleep(30)", "pass"))
    assert inv("migrate").out.count(" OK ") == 2


def test_dotenv_that_cannot_be_parsed(inv: Inv, company: Path) -> None:
    (company / ".env").write_text("DATABASE_URL: sqlite:///colon.db\n")
    check(inv("migrate"), 2, ".env, line 1, is not NAME=value")
    (company / ".env").write_text("A=1\nDATABASE_URL='sqlite:///quote.db\n")
    check(inv("migrate"), 2, ".env, line 2")
    (company / ".env").unlink()
    (company / ".env").mkdir()
    check(inv("migrate"), 9, "cannot read")


def test_collection_with_an_argument_that_it_does_not_have(inv: Inv, company: Path) -> None:
    tasks = company / "tasks.py"
    tasks.write_text(tasks.read_text().replace("metadata=", "metadta="))
    done = inv("migrate")
    assert (done.code, "'metadta'" in done.err, "Traceback" in done.err) == (2, True, False)


SEVERAL = """
from dbtasks import collection

ns = collection(
    metadata="company.models:Base",
    seeds="leak:seed",
    databases={"other": {"url_variable": "OTHER_URL"}},
)
"""


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_password_stays_hidden_for_all_databases(
    inv: Inv, company: Path, database: Database
) -> None:
    """The project's own code may put a URL into its exception."""
    (company / "tasks.py").write_text(SEVERAL)
    (company / "src" / "leak.py").write_text(
        "import os\ndef seed(session):\n    raise RuntimeError(os.environ['DATABASE_URL'])\n"
    )
    url = database.url.replace("postgres@", "postgres:s3cr3t-word@")
    env = {"DATABASE_URL": url, "OTHER_URL": url}
    inv("migrate", env=env)
    for arguments in (["--database", "all"], ["--database", "all", "--traceback"]):
        done = inv("seed", *arguments, env=env)
        assert (done.code, "RuntimeError" in done.err) == (2, True)
        assert "s3cr3t" not in done.err


def piped(company: Path, redirection: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        f"{sys.executable} -m invoke {' '.join(arguments)} {redirection}",
        shell=True,
        cwd=company,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&-", ">&- 2>&- <&-", "2>/dev/full"])
def test_closed_streams(inv: Inv, company: Path, redirection: str) -> None:
    done = piped(company, redirection, "migrate", "seed", "query")
    assert (done.returncode, "Traceback" in done.stderr + done.stdout) == (0, False)
    refused = piped(company, redirection, "migrate", "--to", "base")
    assert refused.returncode == 3
    assert inv("query").out == "Alice → Engineering\nBob → Engineering\n"


def test_output_to_what_is_no_plain_file(inv: Inv, company: Path) -> None:
    """A device, a pipe or a link stays what it is: it is written to, and not replaced."""
    inv("migrate", "seed")
    pipe, link, goal = company / "pipe", company / "link", company / "goal"
    os.mkfifo(pipe)
    link.symlink_to(goal)
    query = ("query", "--name", "A", "--output")
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, encoding="utf-8") as reader:
        assert inv(*query, "pipe").code == 0
        assert reader.communicate()[0] == "Alice → Engineering\n"
    assert inv(*query, "link").code == 0
    assert (pipe.is_fifo(), link.is_symlink()) == (True, True)
    assert goal.read_text() == "Alice → Engineering\n"


def test_state_after_the_commit_is_committed(inv: Inv, company: Path) -> None:
    """What cannot be printed is not undone, and is not called rolled back."""
    inv("migrate")
    done = piped(company, ">/dev/full", "seed")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (9, "state: committed")
    assert inv("query").out != ""


@pytest.mark.parametrize("reader", ["| true", ">/dev/full"])
def test_reader_that_goes_away_does_not_undo_a_migration(
    inv: Inv, company: Path, reader: str
) -> None:
    piped(company, reader, "migrate")
    assert inv("showmigrations").out.startswith("[X] 0001_department_employee  ")
