"""Where settings come from, and which of two sources wins."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbtasks.errors import DbtasksError, LocalFailure, UsageError
from dbtasks.settings import Options, Settings, resolve

OPTIONS = Options(metadata="shop:Base", default_url="sqlite:///app.db")


def settings(
    root: Path,
    options: Options = OPTIONS,
    *,
    database: str | None = None,
    config: dict[str, object] | None = None,
    **environ: str,
) -> Settings:
    return resolve(options, root, environ=environ, config=config, database=database)


def test_default_url_is_used_when_nothing_is_set(tmp_path: Path) -> None:
    assert settings(tmp_path).url_of("default") == ("sqlite:///app.db", "tasks.py")


def test_each_source_is_stronger_than_the_one_before(tmp_path: Path) -> None:
    """Defaults, collection(...), Invoke's configuration, .env, the real environment."""
    options = Options(url="sqlite:///option.db", default_url="sqlite:///app.db")
    config: dict[str, object] = {"url": "sqlite:///config.db"}
    assert settings(tmp_path, options).url_of("default")[0] == "sqlite:///option.db"
    found = settings(tmp_path, options, config=config)
    assert found.url_of("default") == ("sqlite:///config.db", "invoke configuration")
    (tmp_path / ".env").write_text("DATABASE_URL=sqlite:///dotenv.db\n")
    found = settings(tmp_path, options, config=config)
    assert found.url_of("default") == ("sqlite:///dotenv.db", ".env: DATABASE_URL")
    found = settings(tmp_path, options, config=config, DATABASE_URL="sqlite:///real.db")
    assert found.url_of("default") == ("sqlite:///real.db", "environment: DATABASE_URL")


def test_command_line_names_the_alias_before_the_environment(tmp_path: Path) -> None:
    options = Options(databases={"replica": {"read_only": True}, "other": {}})
    assert settings(tmp_path, options, DBTASKS_DATABASE="replica").database == "replica"
    found = settings(tmp_path, options, database="other", DBTASKS_DATABASE="replica")
    assert (found.database, found.sources["database"]) == ("other", "--database")


def test_alias_of_the_environment_counts_when_it_is_named(tmp_path: Path) -> None:
    found = settings(tmp_path, database="blue-green", BLUE_GREEN_DATABASE_URL="sqlite:///b.db")
    assert found.url_of("blue-green")[0] == "sqlite:///b.db"
    assert "blue-green" not in settings(tmp_path, BLUE_GREEN_DATABASE_URL="x").databases


def test_all_means_the_writable_ones(tmp_path: Path) -> None:
    options = Options(databases={"replica": {"read_only": True}, "other": {}})
    assert settings(tmp_path, options).writable == ("default", "other")


def test_production_takes_no_default_url(tmp_path: Path) -> None:
    found = settings(tmp_path, DBTASKS_ENV="production")
    with pytest.raises(UsageError, match="production takes no default_url"):
        found.url_of("default")


def test_url_may_be_a_callable(tmp_path: Path) -> None:
    assert settings(tmp_path, Options(url=lambda: "sqlite:///made.db")).url_of("default") == (
        "sqlite:///made.db",
        "tasks.py",
    )
    with pytest.raises(UsageError, match="is empty"):
        settings(tmp_path, Options(url=lambda: "")).url_of("default")


@pytest.mark.parametrize("variable", ["DATABASE_URL", "DBTASKS_ENV", "DBTASKS_DATABASE"])
@pytest.mark.parametrize("value", ["", "  "])
def test_variable_set_to_nothing_is_refused(tmp_path: Path, variable: str, value: str) -> None:
    """An unset variable in a deploy must not fall back to another database."""
    with pytest.raises(UsageError, match=f"{variable} is set but empty"):
        settings(tmp_path, **{variable: value}).url_of("default")


@pytest.mark.parametrize(
    "databases", [{"all": {}}, {"replica": {"readonly": True}}, {"replica": {"password": "x"}}]
)
def test_database_that_cannot_be_declared(
    tmp_path: Path, databases: dict[str, dict[str, object]]
) -> None:
    with pytest.raises(UsageError, match="cannot be declared"):
        settings(tmp_path, Options(databases=databases))


@pytest.mark.parametrize(
    "content",
    [
        b"DATABASE_URL=\xff\xfe\n",
        b"DBTASKS_ENV=pro\0duction\n",
        "DBTASKS_ENV=production".encode("utf-16-le"),
        "DBTASKS_ENV=production".encode("utf-32"),
        b"\xff\xfeD",
    ],
)
def test_dotenv_that_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".env").write_bytes(content)
    with pytest.raises(LocalFailure, match=r"cannot read .*\.env"):
        settings(tmp_path)


def test_dotenv_that_is_no_file(tmp_path: Path) -> None:
    (tmp_path / ".env").symlink_to("nowhere")
    with pytest.raises(LocalFailure, match=r"cannot read .*\.env"):
        settings(tmp_path)
    (tmp_path / ".env").unlink()
    (tmp_path / ".env").mkdir()
    with pytest.raises(LocalFailure, match=r"cannot read .*\.env"):
        settings(tmp_path)


BOTH = "DBTASKS_ENV=production\nDATABASE_URL=sqlite:///dotenv.db\n"


@pytest.mark.parametrize(
    "content",
    [
        BOTH.encode("utf-8-sig"),
        BOTH.encode("utf-16"),
        BOTH.replace("\n", "\r\n").encode("utf-8-sig"),
        BOTH.replace("\n", "\r\n").encode("utf-16"),
        b"\xfe\xff" + BOTH.encode("utf-16-be"),
        BOTH.replace("D", "export D", 1).encode(),
        f"DBTASKS_ENV=development\n{BOTH}".encode(),  # the last counts, as in a shell
        b"DBTASKS_ENV='production'\nDATABASE_URL = \"sqlite:///dotenv.db\" # local\n",
    ],
)
def test_dotenv_as_editors_and_shells_write_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".env").write_bytes(content)
    found = settings(tmp_path)
    assert found.environment == "production"
    assert found.url_of("default") == ("sqlite:///dotenv.db", ".env: DATABASE_URL")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("\n\nset DATABASE_URL=x", "line 3, is not NAME=value"),
        ("DATABASE_URL='x", "line 1, is not NAME=value"),
        ("DATABASE_URL", "DATABASE_URL is set but empty"),
        ("database_url=sqlite:///x.db", "DATABASE_URL is not set, but 'database_url' is"),
        ("$env:DATABASE_URL=x", "DATABASE_URL is not set, but '\\$env:DATABASE_URL' is"),
        ("A=1\n\ufeffDATABASE_URL=x", "DATABASE_URL is not set, but '\\\\ufeffDATABASE_URL' is"),
        ("Dbtasks_Env=production", "DBTASKS_ENV is not set, but 'Dbtasks_Env' is"),
        ("DATABASE-URL=sqlite:///x.db", "DATABASE_URL is not set, but 'DATABASE-URL' is"),
        ("dbtasks.env=production", "DBTASKS_ENV is not set, but 'dbtasks.env' is"),
        ("DBTASK_ENV=production", "'DBTASK_ENV' is no setting"),
        ("DBTASKS_ENVIRONMENT=production", "'DBTASKS_ENVIRONMENT' is no setting"),
        ("DBTASKS_DB=archive", "'DBTASKS_DB' is no setting"),
        ("DBTASKS_ENV=\ufeffproduction", "not printable"),
        ("INVOKE_DB_URL=sqlite:///x.db", "INVOKE_DB_URL .* is not read"),
    ],
)
def test_setting_that_is_present_and_not_read_is_refused(
    tmp_path: Path, line: str, words: str
) -> None:
    (tmp_path / ".env").write_text(line, encoding="utf-8")
    with pytest.raises(UsageError, match=words) as caught:
        resolve(OPTIONS, tmp_path, environ={}, config_key="db").url_of("default")
    assert caught.value.hint


def test_name_in_another_case_beside_the_right_one_is_another_variable(tmp_path: Path) -> None:
    found = settings(tmp_path, DATABASE_URL="sqlite:///a.db", database_url="sqlite:///b.db")
    assert found.url_of("default")[0] == "sqlite:///a.db"


@pytest.mark.parametrize(
    ("name", "near"),
    [("URL", "url"), ("default-url", "default_url"), ("enviroment", "environment")],
)
def test_misspelt_key_of_invokes_configuration_is_refused(
    tmp_path: Path, name: str, near: str
) -> None:
    with pytest.raises(UsageError, match="is not a setting") as caught:
        settings(tmp_path, config={name: "x"})
    assert f"did you mean {near}?" in str(caught.value.hint)
    assert settings(tmp_path, config={"backup_folder": "x"})  # a key of the user's own tasks


@pytest.mark.parametrize("name", ["INVOKE_DB_DEFAUL_URL", "invoke_db_url", "INVOKE_DB_DATABASES_A"])
def test_variable_that_invoke_does_not_read_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} .environment. is not read"):
        resolve(OPTIONS, tmp_path, environ={name: "x"}, config_key="db")
    assert resolve(OPTIONS, tmp_path, environ={"INVOKE_DB_URL": "x"}, config_key="db")
    assert resolve(OPTIONS, tmp_path, environ={name: "x"}, config_key="other")


@pytest.mark.parametrize("name", ["url", "default_url", "environment"])
def test_blank_in_invokes_configuration_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is empty in Invoke's configuration"):
        settings(tmp_path, config={name: " "})


def test_several_metadata_and_named_seeds(tmp_path: Path) -> None:
    found = settings(tmp_path, Options(metadata=["a:B", "c:D"], seeds={"demo": "a:seed"}))
    assert found.metadata == ("a:B", "c:D")
    assert found.seeds == {"demo": "a:seed"}


@given(
    st.dictionaries(st.sampled_from(["DATABASE_URL", "DBTASKS_ENV", "DBTASKS_DATABASE"]), st.text())
)
def test_any_environment_gives_settings_or_our_error(environ: dict[str, str]) -> None:
    try:
        found = resolve(OPTIONS, Path("/nowhere"), environ=environ)
        found.url_of(found.database)
    except DbtasksError as error:
        assert error.hint
