"""`dbtasks init` in a folder with a project: what it finds, writes, and leaves as it works."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from conftest import Result, clean_environment, in_process
from dbtasks.init import adopt
from dbtasks.init.adoption import OUR_TABLES

PROJECTS = Path(__file__).parents[1] / "projects" / "adopted"

Dbtasks = Callable[..., Result]


@pytest.fixture
def adopted(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return the folder of a copy of the project that the test's parameter names."""
    return Path(shutil.copytree(PROJECTS / request.param, tmp_path / "project"))


def dbtasks(cwd: Path, *args: str, env: dict[str, str] | None = None) -> Result:
    return in_process("dbtasks", cwd)(*args, env=env)


def alembic(cwd: Path, *args: str) -> None:
    line = [sys.executable, "-m", "alembic", *args]
    done = subprocess.run(line, cwd=cwd, env=clean_environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def tables(path: Path) -> set[str]:
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    connection.close()
    return {name for (name,) in rows if not name.startswith(("alembic_", "dbtasks_"))}


def given(folder: Path) -> str:
    """Return the arguments of `collection(...)` in the tasks.py that was written."""
    return (folder / "tasks.py").read_text()


@pytest.mark.parametrize(
    ("adopted", "metadata"),
    [
        ("flat", 'metadata=["items:Base", "orders:Stamped"]'),
        ("sqlmodel", 'metadata="models:SQLModel"'),
        ("create_all", 'metadata="app.models:Base"'),
    ],
    indirect=["adopted"],
)
def test_models_without_migrations(adopted: Path, metadata: str) -> None:
    if adopted.joinpath("main.py").exists():
        pytest.importorskip("sqlmodel")
    done = dbtasks(adopted, "init")
    assert done.code == 0, done.err
    assert metadata in given(adopted)
    env = {"DATABASE_URL": "sqlite:///app.db", "APP_DATABASE_URL": "sqlite:///app.db"}
    done = dbtasks(adopted, "makemigrations", "migrate", env=env)
    assert done.code == 0, done.err
    assert "item" in tables(adopted / "app.db")
    assert dbtasks(adopted, "makemigrations", "--check", env=env).code == 0


@pytest.mark.parametrize("adopted", ["create_all"], indirect=True)
def test_tables_that_create_all_has_made(adopted: Path) -> None:
    line = [sys.executable, "-c", "from app.db import create_tables; create_tables()"]
    subprocess.run(line, cwd=adopted, env=clean_environment(), check=True)
    done = dbtasks(adopted, "init")
    assert "create_all makes the tables here" in done.out
    assert "migrate --fake-initial" in done.out
    done = dbtasks(adopted, "makemigrations", "migrate", "--fake-initial")
    assert done.code == 0, done.err
    subprocess.run(line, cwd=adopted, env=clean_environment(), check=True)


@pytest.mark.parametrize(
    ("adopted", "lines", "found"),
    [
        (
            "src_layout",
            ['metadata="shop.models:Base"', 'url_variable="SHOP_DB_URL"'],
            ["Alembic: src/shop/db, 1 revision", "env.py passes compare_server_default"],
        ),
        (
            "async_env",
            ['metadata="models:Base"', 'default_url="sqlite+aiosqlite:///app.db"'],
            ["Alembic: migrations, 1 revision"],
        ),
        (
            "labelled",
            ['metadata="models:Base"'],
            ["labelled branches: accounts, posts"],
        ),
        (
            "pooled",
            ['default_url="sqlite:///app.db"'],
            ["env.py passes include_name, transaction_per_migration"],
        ),
    ],
    indirect=["adopted"],
)
def test_a_project_with_alembic(adopted: Path, lines: list[str], found: list[str]) -> None:
    before = {path: path.read_bytes() for path in adopted.rglob("*") if path.is_file()}
    done = dbtasks(adopted, "init")
    assert done.code == 0, done.err
    assert all(line in given(adopted) for line in lines)
    assert all(f"Found {text}" in done.out for text in found)
    assert "makemigrations --check:\n  No changes.\n" in done.out
    assert {path: path.read_bytes() for path in before} == before
    done = dbtasks(adopted, "migrate")
    assert done.code == 0, done.err
    file = adopted / ("shop.db" if "shop" in given(adopted) else "app.db")
    made = tables(file)
    file.unlink()
    alembic(adopted, "upgrade", "heads")  # its own tool, as before
    assert tables(file) == made
    alembic(adopted, "downgrade", "base")


@pytest.mark.parametrize("adopted", ["two_histories"], indirect=True)
def test_two_histories(adopted: Path) -> None:
    done = dbtasks(adopted, "init")
    assert done.code == 0, done.err
    for name in ("sales", "stock"):
        assert f"{name}.makemigrations --check:\n  No changes.\n" in done.out
    done = dbtasks(adopted, "sales.migrate", "stock.migrate")
    assert done.code == 0, done.err
    assert (tables(adopted / "sales.db"), tables(adopted / "stock.db")) == ({"invoice"}, {"shelf"})
    alembic(adopted, "-c", "sales/alembic.ini", "upgrade", "head")


@pytest.mark.parametrize("adopted", ["flask_migrate"], indirect=True)
def test_flask_migrate(adopted: Path) -> None:
    pytest.importorskip("flask_migrate")

    def flask(*args: str) -> None:
        line = [sys.executable, "-m", "flask", "--app", "shop", *args]
        env = clean_environment()
        done = subprocess.run(line, cwd=adopted, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    flask("db", "init")
    flask("db", "migrate", "-m", "item")
    done = dbtasks(adopted, "init")
    assert done.code == 0, done.err
    assert 'metadata="shop:db"' in given(adopted)
    assert 'app="shop:create_app"' in given(adopted)
    assert 'alembic="migrations/alembic.ini"' in given(adopted)
    models = adopted / "shop.py"
    models.write_text(models.read_text().replace("String(50))", "String(60))"))
    env = {"DATABASE_URL": "sqlite:///ours.db"}
    revision = next((adopted / "migrations" / "versions").glob("*.py")).name.split("_")[0]
    assert "CREATE TABLE item" in dbtasks(adopted, "sqlmigrate", revision, env=env).out
    done = dbtasks(adopted, "makemigrations", "migrate", env=env)
    assert done.code == 0, done.err
    assert "item" in tables(adopted / "ours.db")
    flask("db", "upgrade")
    flask("db", "current")


@pytest.mark.parametrize("adopted", ["pooled"], indirect=True)
def test_what_is_reported_of_revisions_and_versions(adopted: Path) -> None:
    versions = adopted / "migrations" / "versions"
    for name, parent, body in (
        ("b1", "a1", "with op.get_context().autocommit_block():\n        op.execute('SELECT 1')"),
        ("c1", "b1", "sa.Table('item', sa.MetaData(), autoload_with=op.get_bind())"),
    ):
        (versions / f"{name}.py").write_text(
            f"import sqlalchemy as sa\nfrom alembic import op\nrevision = {name!r}\n"
            f"down_revision = {parent!r}\n\ndef upgrade():\n    {body}\n\n"
            "def downgrade():\n    pass\n"
        )
    (adopted / "requirements.txt").write_text("fastapi\nSQLAlchemy==1.4.50\nalembic<1.13  # old\n")
    shown = dbtasks(adopted, "init").out
    assert "revisions that have no downgrade: b1, c1" in shown
    assert "revisions that commit by themselves: b1" in shown
    assert "revisions that read the database: c1" in shown
    assert "requirements.txt: SQLAlchemy==1.4.50, and dbtasks needs 2.0.31 or newer" in shown
    assert "requirements.txt: alembic<1.13, and dbtasks needs 1.13 or newer" in shown


@pytest.mark.parametrize("adopted", ["flat"], indirect=True)
def test_a_tasks_file_that_exists_is_left(adopted: Path) -> None:
    (adopted / "tasks.py").write_text("from invoke import task\n")
    done = dbtasks(adopted, "init")
    assert done.code != 0 or "Exists: tasks.py" in done.out
    assert (adopted / "tasks.py").read_text() == "from invoke import task\n"


@pytest.mark.parametrize(
    ("given", "noted"),
    [
        ('default_url="sqlite:///app.db"', None),
        ("url=make_url", None),
        ('engine="shop:engine"', None),
        ('url_variable="SHOP_URL"', "SHOP_URL=postgresql://user:password@host/name"),
        ('metadata="shop:Base"', "DATABASE_URL=postgresql://user:password@host/name"),
    ],
)
@pytest.mark.parametrize("call", ["from dbtasks import collection", "import dbtasks"])
def test_what_a_tasks_file_says_is_not_missing(
    tmp_path: Path, given: str, noted: str | None, call: str
) -> None:
    name = "dbtasks.collection" if call == "import dbtasks" else "collection"
    written(tmp_path, {"tasks.py": f"{call}\n\nns = {name}({given})\n"})
    notes = adopt(tmp_path).notes
    urls = [one.line for one in notes if one.text.startswith("no URL")]
    assert urls == ([noted] if noted else [])
    assert any(one.text.startswith("no models") for one in notes) == ("metadata" not in given)


@pytest.mark.parametrize("adopted", ["labelled"], indirect=True)
def test_a_revision_on_a_labelled_branch(adopted: Path) -> None:
    assert dbtasks(adopted, "init").code == 0
    models = adopted / "models.py"
    models.write_text(models.read_text() + NOTE)
    refused = dbtasks(adopted, "makemigrations", "--no-input")
    assert (refused.code, "--head accounts" in refused.err) == (3, True), refused
    unknown = dbtasks(adopted, "makemigrations", "--head", "nobody")
    assert (unknown.code, "a1 or accounts, p1 or posts" in unknown.err) == (2, True), unknown
    made = dbtasks(adopted, "makemigrations", "--head", "posts", "--message", "note")
    assert (made.code, "create table note" in made.err) == (0, True), made
    models.write_text(models.read_text() + "    text: Mapped[str | None]\n")
    updated = dbtasks(adopted, "makemigrations", "--head", "posts", "--update")
    assert updated.code == 0, updated
    done = dbtasks(adopted, "migrate", "showmigrations", "--graph")
    assert (done.code, "note" in done.out) == (0, True), done
    assert dbtasks(adopted, "makemigrations", "--check").code == 0
    empty = dbtasks(adopted, "makemigrations", "--head", "a1", "--empty")
    assert empty.code == 0, empty
    alembic(adopted, "upgrade", "heads")


NOTE = """

class Note(Base):
    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
"""


BASE = """
from sqlalchemy.orm import DeclarativeBase

class Base(DeclarativeBase):
    pass
"""
STARS = """
from sqlalchemy.orm import *

class Base(DeclarativeBase):
    pass

class Hero(Base):
    __tablename__ = "hero"
    id: Mapped[int] = mapped_column(primary_key=True)
"""
MODEL = """
from sqlalchemy.orm import Mapped, mapped_column
from {base} import Base

class {name}(Base):
    __tablename__ = "{name}"
    id: Mapped[int] = mapped_column(primary_key=True)
"""
FLASK = """
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

db = SQLAlchemy()

class Item(db.Model):
    id = db.Column(db.Integer, primary_key=True)

def create_app({arguments}):
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///../app.db"
    db.init_app(app)
    return app
"""
SHAPES = {
    "a MetaData with its usual name": (
        {
            "tables.py": "import sqlalchemy as sa\nmetadata = sa.MetaData()\n"
            "users = sa.Table('users', metadata, sa.Column('id', sa.Integer))\n"
        },
        ['metadata="tables:metadata"'],
    ),
    "a MetaData of another module": (
        {
            "db.py": "import sqlalchemy as sa\nmetadata = sa.MetaData()\n",
            "tables.py": "import sqlalchemy as sa\nimport db\n"
            "users = sa.Table('users', db.metadata, sa.Column('id', sa.Integer))\n",
        },
        ['metadata="tables:db.metadata"'],
    ),
    "a package that imports the classes alone": (
        {
            "db.py": BASE,
            "app/__init__.py": "from .hero import Hero\nfrom .team import Team\n",
            "app/hero.py": MODEL.format(base="db", name="Hero"),
            "app/team.py": MODEL.format(base="db", name="Team"),
        },
        ['metadata="app:Hero"'],
    ),
    "a package that imports the modules alone": (
        {
            "db.py": BASE,
            "app/__init__.py": "from . import hero, team\n",
            "app/hero.py": MODEL.format(base="db", name="Hero"),
            "app/team.py": MODEL.format(base="db", name="Team"),
        },
        ['metadata="app:hero.Base"'],
    ),
    "models and engines of tests": (
        {
            "db.py": BASE + MODEL.format(base="db", name="Hero").replace("from db import Base", ""),
            "tests/test_models.py": BASE + "import os\nURL = os.environ['TEST_DATABASE_URL']\n",
            "test_engine.py": "from sqlalchemy import create_engine\n"
            "engine = create_engine('sqlite:///test.db')\n",
        },
        ['collection(\n    metadata="db:Base",\n)'],
    ),
    "a class of settings": (
        {
            "settings.py": "from pydantic_settings import BaseSettings, SettingsConfigDict\n"
            "class Settings(BaseSettings):\n"
            "    model_config = SettingsConfigDict(env_prefix='SHOP_')\n"
            "    db_url: str = 'sqlite:///shop.db'\n",
        },
        ['url_variable="SHOP_DB_URL"', 'default_url="sqlite:///shop.db"'],
    ),
    "a class of settings with a dictionary": (
        {
            "settings.py": "from pydantic_settings import BaseSettings\n"
            "class Settings(BaseSettings):\n"
            "    model_config = {'env_file': '.env', 'env_prefix': 'SHOP_'}\n"
            "    database_url: str\n",
        },
        ['url_variable="SHOP_DATABASE_URL"'],
    ),
    "a variable that an engine is made of": (
        {
            "db.py": "import os\nfrom sqlalchemy import create_engine\n"
            "ACME = os.environ['ACME_DB']\nengine = create_engine(ACME)\n",
        },
        ['url_variable="ACME_DB"'],
    ),
    "a reader of another package": (
        {
            "db.py": "from environs import Env\nenv = Env()\nurl = env.str('SHOP_DATABASE_URL')\n",
        },
        ['url_variable="SHOP_DATABASE_URL"'],
    ),
    "all names of the ORM": (
        {"models.py": STARS},
        ['metadata="models:Base"'],
    ),
    "all names of the ORM and of the core": (
        {
            "models.py": "from sqlalchemy import *\nfrom sqlalchemy.orm import *\n"
            "Base = declarative_base()\n"
            "class Hero(Base):\n    __tablename__ = 'hero'\n"
            "    id = Column(Integer, primary_key=True)\n",
        },
        ['metadata="models:Base"'],
    ),
    "all names of the core": (
        {
            "tables.py": "from sqlalchemy import *\nmetadata = MetaData()\n"
            "users = Table('users', metadata, Column('id', Integer))\n"
        },
        ['metadata="tables:metadata"'],
    ),
    "all names of other modules": (
        {
            "db.py": BASE,
            "common.py": "from db import *\n__all__ = ['Base']\n",
            "app/__init__.py": "from .hero import *\nfrom .team import *\n",
            "app/hero.py": MODEL.format(base="common", name="Hero").replace(
                "import Base", "import *"
            ),
            "app/team.py": MODEL.format(base="common", name="Team").replace(
                "import Base", "import *"
            ),
        },
        ['metadata="app:Base"'],
    ),
    "modules that import all names of each other": (
        {
            "hero.py": "from team import *\n" + STARS,
            "team.py": "from hero import *\n"
            "class Team(Base):\n    __tablename__ = 'team'\n"
            "    id: Mapped[int] = mapped_column(primary_key=True)\n",
        },
        ['metadata="hero:Base"'],
    ),
    "all names in env.py": (
        {
            "alembic.ini": "[alembic]\nscript_location = %(here)s/migrations\n",
            "migrations/env.py": "from hero import *\ntarget_metadata = Base.metadata\n",
            "hero.py": STARS,
            "other.py": STARS,
        },
        ['metadata="hero:Base"'],
    ),
    "a factory that needs arguments, called elsewhere": (
        {
            "shop.py": FLASK.format(arguments="name"),
            "wsgi.py": "from shop import create_app\napp = create_app('shop')\n",
        },
        ['app="wsgi:app"'],
    ),
}


@pytest.mark.parametrize(("files", "lines"), SHAPES.values(), ids=SHAPES)
def test_shapes_of_projects(tmp_path: Path, files: dict[str, str], lines: list[str]) -> None:
    written(tmp_path, files)
    text = adopt(tmp_path).files[0].text
    assert all(line in text for line in lines), text


def written(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_factory_that_needs_arguments(tmp_path: Path) -> None:
    pytest.importorskip("flask_migrate")
    written(tmp_path, {"shop.py": FLASK.format(arguments="name")})
    done = dbtasks(tmp_path, "init")
    assert "the factory shop.create_app needs arguments" in done.out
    tasks = tmp_path / "tasks.py"
    tasks.write_text(
        tasks.read_text().replace("metadata=", 'app="shop:create_app",\n    metadata=')
    )
    done = dbtasks(tmp_path, "makemigrations", env={"DATABASE_URL": "sqlite:///app.db"})
    assert done.code == 2
    assert f"({tmp_path / 'shop.py'}, line 10)" in done.err
    assert "hint: name a function that needs no arguments, or the application itself" in done.err


def test_flask_migrate_with_the_environment_that_init_writes(tmp_path: Path) -> None:
    pytest.importorskip("flask_migrate")
    shop = FLASK.format(arguments="").replace(
        "    return app", "    Migrate(app, db)\n    return app"
    )
    written(tmp_path, {"shop.py": "from flask_migrate import Migrate\n" + shop})
    env = {"DATABASE_URL": "sqlite:///app.db"}
    assert dbtasks(tmp_path, "init").code == 0
    done = dbtasks(tmp_path, "makemigrations", "migrate", env=env)
    assert done.code == 0, done.err
    line = [sys.executable, "-m", "flask", "--app", "shop", "db", "check"]
    flask = subprocess.run(
        line, cwd=tmp_path, env=clean_environment() | env, capture_output=True, text=True
    )
    assert flask.returncode == 0, flask.stderr


@pytest.mark.parametrize("adopted", ["src_layout", "pooled"], indirect=True)
def test_what_alembic_check_needs(adopted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From 1.18 on Alembic has plugins, and ours leaves our tables out."""
    has_plugins = find_spec("alembic.runtime.plugins") is not None
    told = any("no filter in env.py" in note.text for note in adopt(adopted).notes)
    assert told is not has_plugins
    older = adopted / "older" / "alembic-1.17.2.dist-info"
    older.mkdir(parents=True)
    (older / "METADATA").write_text("Metadata-Version: 2.1\nName: alembic\nVersion: 1.17.2\n")
    monkeypatch.syspath_prepend(older.parent)
    plan = adopt(adopted)
    assert any("no filter in env.py" in note.text for note in plan.notes)
    env = next(adopted.rglob("env.py"))
    env.write_text(f"{env.read_text()}\ndict({OUR_TABLES})\n")
    assert not any("no filter in env.py" in note.text for note in adopt(adopted).notes)
