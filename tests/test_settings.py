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


def test_dotenv_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"DATABASE_URL=\xff\xfe\n")
    with pytest.raises(LocalFailure, match=r"cannot read .*\.env"):
        settings(tmp_path)


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
