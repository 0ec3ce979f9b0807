"""makemigrations: what the models are missing is written, and what is unclear is asked."""

import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from conftest import Database
from office import Inv, add_column, change, is_clean, on_sqlite, revisions, rows
from trees import add_revision


@pytest.mark.parametrize("what", ["index", "unique"])
def test_the_index_of_a_foreign_key_comes_and_goes(
    office: Inv, company: Path, database: Database, what: str
) -> None:
    engine = sa.create_engine(database.url)
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM employee WHERE name = 'Bob'"))
    plain = 'mapped_column(ForeignKey("department.id"))'
    change(company, plain, f"{plain[:-1]}, {what}=True)")
    assert office("makemigrations", "--no-input").code == 0
    assert office("migrate").code == 0
    back = office("rollback", "--no-input")
    assert back.code == 0, back
    assert office("migrate").code == 0
    change(company, f"{plain[:-1]}, {what}=True)", plain)
    made = office("makemigrations", "--no-input")
    assert made.code == 0, made
    assert office("migrate").code == 0
    assert is_clean(office)
    [key] = sa.inspect(engine).get_foreign_keys("employee")
    assert key["referred_table"] == "department"
    engine.dispose()
    assert office("rollback", "--no-input").code == 0
    assert office("migrate", "--to", "base", "--no-input").code == 0


def test_a_foreign_key_with_an_index_is_dropped(office: Inv, company: Path) -> None:
    key = 'mapped_column(ForeignKey("department.id"))'
    change(company, key, 'mapped_column(ForeignKey("department.id"), index=True)')
    assert office("makemigrations", "--no-input").code == 0
    assert office("migrate").code == 0
    assert office("flush", "--no-input").code == 0
    models = company / "src" / "company" / "models.py"
    text = re.sub(r".* = relationship\(.*", "", models.read_text(encoding="utf-8"))
    models.write_text(re.sub(r".*dept_id.*", "", text), encoding="utf-8")
    for _ in ("the column", "the table"):
        made = office("makemigrations", "--no-input")
        assert made.code == 0, made
        assert office("migrate").code == 0
        assert is_clean(office)
        back = office("rollback", "--no-input")
        assert back.code == 0, back
        models.write_text(text.partition("class Employee")[0], encoding="utf-8")
        (company / "migrations" / "versions" / revisions(company)[-1]).unlink()


DEFAULTS = {
    "empty": ("String(50)", "", {""}),
    "text": ("String(50)", "it's :x \\n 100%", {"it's :x \\n 100%"}),
    "number": ("Integer", "-7", {"-7"}),
    "truth": ("Boolean", "true", {"True", "1"}),
    "day": ("Date", "2026-11-25", {"2026-11-25"}),
    "price": ("Numeric(6, 2)", "1.50", {"1.50", "1.5"}),
}


def test_a_default_is_for_the_rows_that_are_there(
    office: Inv, company: Path, database: Database
) -> None:
    change(company, "import Fo", "import Boolean, Date, Integer, Numeric, Fo")
    given = []
    for name, (kind, value, _) in DEFAULTS.items():
        add_column(company, f"{name}: Mapped[object] = mapped_column({kind}, nullable=False)")
        given += ["--default", f"employee.{name}={value}"]
    made = office("makemigrations", "--no-input", *given)
    assert made.code == 0, made
    assert office("migrate").code == 0
    assert is_clean(office)
    engine = sa.create_engine(database.url)
    columns = {one["name"]: one for one in sa.inspect(engine).get_columns("employee")}
    engine.dispose()
    for name, (_, _, stored) in DEFAULTS.items():
        first, second = (str(row[0]) for row in rows(database, f"SELECT {name} FROM employee"))
        assert first == second
        assert first in stored
        assert (columns[name]["default"], columns[name]["nullable"]) == (None, False)


def test_an_expression_for_the_rows_that_are_there(
    office: Inv, company: Path, database: Database
) -> None:
    add_column(company, "login: Mapped[str] = mapped_column(String(50), unique=True)")
    made = office("makemigrations", "--no-input", "--default-sql", "employee.login=lower(name)")
    assert made.code == 0, made
    assert office("migrate").code == 0
    assert rows(database, "SELECT login FROM employee ORDER BY id") == [("alice",), ("bob",)]
    assert is_clean(office)
    assert office("rollback", "--no-input").code == 0
    assert office("migrate").code == 0


def test_a_column_that_takes_null_no_more(office: Inv, company: Path, database: Database) -> None:
    add_column(company, "nick: Mapped[str | None] = mapped_column(String(50))")
    assert office("makemigrations", "--no-input").code == 0
    assert office("migrate").code == 0
    change(company, "nick: Mapped[str | None]", "nick: Mapped[str]")
    refused = office("makemigrations", "--no-input")
    assert (refused.code, "--default employee.nick=VALUE" in refused.err) == (3, True)
    assert office("makemigrations", "--no-input", "--default", "employee.nick=none").code == 0
    assert office("migrate").code == 0
    assert rows(database, "SELECT nick FROM employee") == [("none",), ("none",)]
    assert is_clean(office)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--default", "employee.extra=many"), "extra"),
        (("--default", "employee.extra"), "is not understood"),
        (("--rename", "employee.name"), "is not understood"),
        (("--default", "employee.extra=1", "--drop", "employee.nothing"), "nothing is asked about"),
        (("--check", "--empty"), "exclude each other"),
        (("--update", "--name", "other"), "--update takes no --name"),
        (("--check", "--name", "other"), "--check takes no --name"),
        (("--rebase", "0001", "--name", "other"), "--rebase takes no --name"),
        (("--from-database", "--empty"), "--empty takes no --from-database"),
        (("--merge", "--from-database"), "--merge takes no --from-database"),
        (("--not-applied-in", "default"), "--not-applied-in goes with --update or --rebase"),
        (("--check", "--rename", "employee.name:employee.extra"), "--check asks nothing"),
        (("--empty", "--default", "employee.extra=1"), "--empty asks nothing"),
        (("--merge",), "one head"),
        (("--rebase", "0001"), "there is one head, and nothing to put after another"),
    ],
)
@on_sqlite
def test_what_is_refused(
    office: Inv, company: Path, options: tuple[str, ...], message: str
) -> None:
    change(company, "import ForeignKey, String", "import ForeignKey, Integer, String")
    add_column(company, "extra: Mapped[int] = mapped_column(Integer)")
    refused = office("makemigrations", "--no-input", *options)
    assert (refused.code, message in refused.err) == (2, True), refused
    assert revisions(company) == ["0001_department_employee.py"]


def test_check_says_which_changes_are_missing(office: Inv, company: Path) -> None:
    assert is_clean(office)
    add_column(company, "nick: Mapped[str | None] = mapped_column(String(50), index=True)")
    checked = office("makemigrations", "--check")
    assert checked.code == 1
    assert checked.out == "add column employee.nick\ncreate index ix_employee_nick\n"
    shown = office("makemigrations", "--dry-run", "--no-input")
    assert shown.code == 0
    assert 'op.add_column("employee", sa.Column("nick"' in shown.out
    assert revisions(company) == ["0001_department_employee.py"]


def test_no_database_that_is_up_to_date_is_needed(
    inv: Inv, company: Path, database: Database
) -> None:
    url = {"DATABASE_URL": database.url}
    add_column(company, "nick: Mapped[str | None] = mapped_column(String(50))")
    assert inv("makemigrations", "--check", env=url).code == 1
    made = inv("makemigrations", "--no-input", "--name", "A nickname!", env=url)
    assert made.code == 0, made
    assert revisions(company)[1] == "0002_a_nickname.py"
    assert inv("makemigrations", "--check", env=url).code == 0
    if database.kind == "sqlite":
        assert not Path(database.url.removeprefix("sqlite:///")).exists()
    else:
        engine = sa.create_engine(database.url)
        names = sa.inspect(engine).get_table_names()
        schemas = sa.inspect(engine).get_schema_names()
        engine.dispose()
        assert names == []
        assert not [one for one in schemas if one.startswith("dbtasks_scratch")]


def test_without_a_server_it_says_what_it_needs(inv: Inv) -> None:
    url = "postgresql://postgres@127.0.0.1:1/company"
    failed = inv("makemigrations", "--check", env={"DATABASE_URL": url})
    assert failed.code == 5
    assert "scratch database" in failed.err
    assert "Traceback" not in failed.err


@on_sqlite
def test_an_empty_revision(office: Inv, company: Path) -> None:
    made = office("makemigrations", "--empty", "--name", "fill in")
    assert made.code == 0
    text = (company / "migrations" / "versions" / "0002_fill_in.py").read_text()
    assert text.count("    pass\n") == 2
    assert office("migrate").code == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("the address of everyone at work", "0002_the_address_of_everyone_at"),
        ("the address of everyone out there", "0002_the_address_of_everyone_out"),
        ("Donaudampfschifffahrtsgesellschaft", "0002_donaudampfschifffahrtsgesel"),
    ],
)
@on_sqlite
def test_an_id_that_is_too_long_is_cut_between_words(
    office: Inv, company: Path, name: str, expected: str
) -> None:
    assert office("makemigrations", "--empty", "--name", name).code == 0
    assert revisions(company)[1:] == [f"{expected}.py"]
    assert len(expected) <= 32
    assert office("migrate").code == 0


@pytest.mark.every_value
@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("", r"(0001_initial)\.py"),  # Alembic's own template has the name besides
        ("file_template = %%(rev)s\n", r"(0001_initial)\.py"),
        ("file_template = %%(year)d_%%(rev)s_%%(slug)s\n", r"20\d\d_([0-9a-f]{12})_initial\.py"),
    ],
)
def test_a_first_revision_is_called_as_the_template_has_it(
    inv: Inv, company: Path, template: str, name: str
) -> None:
    ini = company / "alembic.ini"
    ini.write_text(ini.read_text().replace("file_template = %%(rev)s\n", template))
    [first] = (company / "migrations" / "versions").glob("*.py")
    first.unlink()
    made = inv("makemigrations", "--no-input")
    assert made.code == 0, made
    [file] = revisions(company)
    match = re.fullmatch(name, file)
    assert match is not None, file
    shown = ": initial" if "year" in template else ""
    assert f"Applying {match[1]}{shown} ... OK" in inv("migrate").out


def test_update_lets_the_newest_revision_do_more(
    office: Inv, company: Path, database: Database
) -> None:
    add_column(company, "nick: Mapped[str | None] = mapped_column(String(50))")
    assert office("makemigrations", "--no-input", "--name", "more").code == 0
    path = company / "migrations" / "versions" / "0002_more.py"
    path.write_text(
        path.read_text().replace("def upgrade() -> None:\n", "def upgrade() -> None:\n    # mine\n")
    )
    add_column(company, "phone: Mapped[str | None] = mapped_column(String(20))")
    updated = office("makemigrations", "--no-input", "--update")
    assert updated.code == 0, updated
    assert revisions(company) == ["0001_department_employee.py", "0002_more.py"]
    assert "# mine" in path.read_text()
    assert is_clean(office)
    assert office("migrate").code == 0
    assert rows(database, "SELECT nick, phone FROM employee") == [(None, None)] * 2
    add_column(company, "fax: Mapped[str | None] = mapped_column(String(20))")
    refused = office("makemigrations", "--no-input", "--update")
    assert (refused.code, "0002_more is applied" in refused.err) == (3, True)
    assert office("rollback", "--no-input").code == 0
    assert office("makemigrations", "--no-input", "--update").code == 0
    assert office("migrate").code == 0
    assert is_clean(office)


@on_sqlite
def test_update_keeps_the_coding(office: Inv, company: Path) -> None:
    add_column(company, "nick: Mapped[str | None]")
    assert office("makemigrations").code == 0
    [path] = (company / "migrations" / "versions").glob("0002*")
    coding = b"# -*- coding: latin-1 -*-\n# Zo\xeb\n"
    path.write_bytes(coding + path.read_bytes())
    add_column(company, "age: Mapped[int | None]")
    assert office("makemigrations", "--update").code == 0
    text = path.read_bytes()
    assert text.startswith(coding)
    assert b'"age"' in text
    add_column(company, 'note: Mapped[str | None] = mapped_column(comment="\u2014")')
    refused = office("makemigrations", "--update")
    assert refused.code == 2, refused
    assert "is written in iso-8859-1, which has no '\u2014'" in refused.err
    assert path.read_bytes() == text
    assert is_clean(office) is False


@on_sqlite
def test_update_keeps_the_ends_of_lines(office: Inv, company: Path) -> None:
    add_column(company, "nick: Mapped[str | None]")
    assert office("makemigrations").code == 0
    [path] = (company / "migrations" / "versions").glob("0002*")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    add_column(company, "age: Mapped[int | None]")
    assert office("makemigrations", "--update").code == 0
    text = path.read_bytes()
    assert b'"age"' in text
    assert text.count(b"\n") == text.count(b"\r\n") > 20


def test_compared_with_the_database(office: Inv, company: Path, database: Database) -> None:
    engine = sa.create_engine(database.url)
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE employee ADD COLUMN nick VARCHAR(50)"))
    engine.dispose()
    add_column(company, "nick: Mapped[str | None] = mapped_column(String(50))")
    assert office("makemigrations", "--check").code == 1
    assert office("makemigrations", "--check", "--from-database").out == "No changes.\n"
    add_revision(company, "0002_later")
    refused = office("makemigrations", "--check", "--from-database")
    assert (refused.code, "the newest is 0002_later" in refused.err) == (3, True)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_user_who_may_make_no_database_is_told_what_helps(
    inv: Inv, office: Inv, company: Path, database: Database
) -> None:
    engine = sa.create_engine(database.url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE ROLE scratchless LOGIN PASSWORD 'hush'"))
        connection.execute(sa.text("GRANT SELECT ON ALL TABLES IN SCHEMA public TO scratchless"))
    url = engine.url.set(username="scratchless", password="hush")
    env = {"DATABASE_URL": url.render_as_string(hide_password=False)}
    try:
        for more in ((), ("--from-database",)):
            done = inv("makemigrations", "--check", *more, env=env)
            assert (done.code, done.out) == (0, "No changes.\n"), done
            assert "CREATEDB" in done.err
            assert "--from-database" not in done.err
            assert "hush" not in done.err
    finally:
        with engine.begin() as connection:
            connection.execute(sa.text("DROP OWNED BY scratchless"))
            connection.execute(sa.text("DROP ROLE scratchless"))
        engine.dispose()


@on_sqlite
def test_the_replayed_history_is_kept_until_a_file_of_it_changes(
    office: Inv, inv: Inv, company: Path, database: Database, tmp_path: Path
) -> None:
    env = {"DATABASE_URL": database.url, "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def kept() -> list[str]:
        return [one.name for one in (tmp_path / "cache" / "dbtasks").glob("*.db")]

    assert inv("makemigrations", "--check", env=env).out == "No changes.\n"
    [first] = kept()
    assert inv("makemigrations", "--check", env=env).out == "No changes.\n"
    assert kept() == [first]
    file = add_revision(
        company, "0002_nick", 'op.add_column("employee", sa.Column("nick", sa.Text))'
    )
    assert inv("makemigrations", "--check", env=env).out == "drop column employee.nick\n"
    [second] = kept()
    assert second != first
    text = file.read_text()
    file.write_text(f"import company.models\n{text}")
    assert inv("makemigrations", "--check", env=env).out == "drop column employee.nick\n"
    assert kept() == [second]
    file.write_text(text.replace("nick", "phone"))
    assert inv("makemigrations", "--check", env=env).out == "drop column employee.phone\n"


@on_sqlite
def test_the_hook_of_env_py_has_the_last_word(office: Inv, company: Path) -> None:
    env = company / "migrations" / "env.py"
    hook = (
        "def only_nick(context, heads, directives):\n"
        "    for table in directives[0].upgrade_ops.ops:\n"
        "        table.ops = [one for one in table.ops if one.column.name == 'nick']\n\n\n"
    )
    text = env.read_text().replace(
        "environment.run(Base.metadata)",
        f"{hook}environment.run(Base.metadata, process_revision_directives=only_nick)",
    )
    env.write_text(text)
    add_column(company, "nick: Mapped[str | None] = mapped_column(String(50))")
    add_column(company, "phone: Mapped[str | None] = mapped_column(String(50))")
    made = office("makemigrations", "--no-input")
    assert made.code == 0, made
    assert "add column employee.nick" in made.err
    assert "phone" not in made.err


@on_sqlite
def test_the_hook_of_env_py_names_the_revision(office: Inv, company: Path) -> None:
    env = company / "migrations" / "env.py"
    hook = (
        "def by_date(context, heads, directives):\n"
        "    directives[0].rev_id = f'2026_{directives[0].rev_id}'\n"
        "    directives[0].message = directives[0].message or 'what is new'\n\n\n"
    )
    text = env.read_text().replace(
        "environment.run(Base.metadata)",
        f"{hook}environment.run(Base.metadata, process_revision_directives=by_date)",
    )
    env.write_text(text)
    add_column(company, "nick: Mapped[str | None] = mapped_column(String(50))")
    assert "2026_" in office("makemigrations", "--no-input").out
    add_column(company, "phone: Mapped[str | None] = mapped_column(String(50))")
    assert "2026_" in office("makemigrations", "--no-input", "--message", "a phone").out
    told = {path.read_text().splitlines()[0] for path in company.rglob("2026_*.py")}
    assert told == {'"""what is new', '"""a phone'}


@on_sqlite
def test_a_downgrade_that_cannot_run_is_told_of(office: Inv, company: Path) -> None:
    add_revision(
        company, "0002_odd", 'op.execute("CREATE TABLE odd (id TEXT, UNIQUE (id COLLATE NOCASE))")'
    )
    made = office("makemigrations", "--no-input")
    assert made.code == 0, made
    assert (
        "its downgrade() was tried, and has to be fixed: drop unique odd.uq_odd_id; add unique odd"
        in made.err
    )
    assert made.out.startswith("Wrote ")
    add_column(company, "nick: Mapped[str | None] = mapped_column(String(50))")
    assert "downgrade" not in office("makemigrations", "--no-input").err


CREATES = "sa.event.listen(Base.metadata, 'after_create', sa.DDL('CREATE TABLE {} (id INT{})'))\n"
UNMADE = {
    "a table that DDL creates": (CREATES.format("extra", ""), "add table extra"),
    "a column of such a table": (CREATES.format("odd", ", b INT"), "add column odd.b"),
}


@pytest.mark.every_value
@on_sqlite
@pytest.mark.parametrize("name", UNMADE)
def test_what_no_operation_makes_is_named(office: Inv, company: Path, name: str) -> None:
    text, told = UNMADE[name]
    models = company / "src" / "company" / "models.py"
    models.write_text(f"{models.read_text()}\n\nimport sqlalchemy as sa\n\n{text}")
    if "odd" in text:
        add_revision(company, "0002_odd", 'op.execute("CREATE TABLE odd (id INT)")')
    checked = office("makemigrations", "--check")
    assert (checked.code, checked.out) == (1, f"{told}\n")
    refused = office("makemigrations", "--no-input")
    assert (refused.code, f"no operation makes what the models have: {told}" in refused.err) == (
        3,
        True,
    ), refused
