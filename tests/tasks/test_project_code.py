"""An error in the project's own code is exit 2, with the file and line of that code."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import runner
from conftest import ROOT, clean_environment
from dbtasks.references import place_in_project
from trees import add_revision

MODELS = "src/company/models.py"
NAME = "    name: Mapped[str] = mapped_column(String(100))\n"
TEXT = "        return f"
TASKS = "from dbtasks import collection\n{}\nns = collection(metadata='company.models:Base', {})\n"
TYPE = """
from sqlalchemy import TypeDecorator
class Odd(TypeDecorator):
    impl = String
    cache_ok = True
    def process_result_value(self, value, dialect):
        raise RuntimeError("odd value")
"""
LISTENER = """
from sqlalchemy import Engine, event
@event.listens_for(Engine, "connect")
def refuse(connection, record):
    raise RuntimeError("no")
"""
STATEMENT = 'connection.execute("SET search_path TO company") or'
CONFIGURED = (
    """event
@event.listens_for(Engine, "connect")
def refuse(connection, record)""",
    """orm, event
@event.listens_for(orm.Mapper, "after_configured")
def refuse()""",
)
VALIDATOR = """    from sqlalchemy.orm import validates
    @validates("name")
    def check(self, key, value):
        raise KeyError("odd")

"""
ADD = ["add", "-s", "name=x", "-s", "dept_id=1"]
CHANGE = ["update", "--all", "-s", "name=x", "--no-input"]

Change = Callable[[Path], None]


def write(file: str, text: str) -> Change:
    return lambda root: (root / file).write_text(text, encoding="utf-8") and None


def change(old: str, new: str, *, more: str = "", before: str = "class Base") -> Change:
    def edit(root: Path) -> None:
        path = root / MODELS
        text = path.read_text(encoding="utf-8")
        assert old in text
        text = text.replace(old, new).replace(before, f"{more}\n{before}")
        path.write_text(text, encoding="utf-8")

    return edit


BATCH = """\
with op.batch_alter_table("employee") as batch:
        batch.drop_column("odd")
"""

CASES: list[tuple[str, Change, list[list[str]], str]] = [
    (
        "models that raise",
        change("class Employee", "1 / 0\n\nclass Employee"),
        [["query"], ["seed"], ["flush", "--no-input"], ["makemigrations"], ["showmigrations"]],
        "src/company/models.py, line ",
    ),
    (
        "models that exit",
        change("class Employee", "raise SystemExit(0)\n\nclass Employee"),
        [["query"], ["dumpdata"], ["makemigrations", "--check"]],
        "raised SystemExit: 0",
    ),
    (
        "a relationship to nothing",
        change("Mapped[Department]", 'Mapped["Nowhere"]'),
        [["query"], ["get", "--pk", "1"], ADD, CHANGE, ["delete", "--all", "--no-input"]],
        "error: Employee.department: there is no model 'Nowhere' (",
    ),
    (
        "a foreign key to nothing",
        change('"department.id"', '"nowhere.id"'),
        [["query"], ["makemigrations"], ["dumpdata"], ["makemigrations", "--check"]],
        "error: Employee.dept_id: there is no table 'nowhere' (",
    ),
    (
        "__str__ that raises",
        change(TEXT, '        raise ValueError("no")\n' + TEXT),
        [["query"]],
        "Employee.__str__ raised ValueError: no (",
    ),
    (
        "a validator that raises",
        change("    def __str__", VALIDATOR + "    def __str__"),
        [ADD, ["seed"]],
        "raised KeyError: 'odd' (",
    ),
    (
        "a default that raises",
        change(NAME, f"{NAME}    extra: Mapped[int] = mapped_column(default=lambda: 1 / 0)\n"),
        [ADD],
        "ZeroDivisionError",
    ),
    (
        "a type that raises",
        change("String(100)", "Odd(100)", more=TYPE),
        [["query", "--columns", "name"], ["get", "--pk", "1"]],
        "raised RuntimeError: odd value (",
    ),
    (
        "a type that refuses a value",
        change("String(100)", "Odd(100)", more=TYPE.replace("result_value", "bind_param")),
        [ADD, CHANGE, ["query", "-w", "name=x"]],
        "Odd refuses it: odd value",
    ),
    (
        "a listener of connections whose statement fails",
        change("class Base", "class Base", more=LISTENER.replace("raise", STATEMENT)),
        [["query"], ["makemigrations"], ["get", "--pk", "1"]],
        'error: the listener refuse raised OperationalError: (sqlite3.OperationalError) near "SET"',
    ),
    (
        "a listener of connections with a mistake",
        change(
            "class Base",
            "class Base",
            more=LISTENER.replace('raise RuntimeError("no")', "connection.nothing()"),
        ),
        [["query"], ["makemigrations"]],
        "error: the listener refuse raised AttributeError: ",
    ),
    (
        "a listener of the mappers",
        change("class Base", "class Base", more=LISTENER.replace(*CONFIGURED)),
        [["query"], ADD],
        "raised RuntimeError: no (",
    ),
    (
        "a listener that raises",
        change("class Base", "class Base", more=LISTENER),
        [["query", "--columns", "name"], ["makemigrations"]],
        "raised RuntimeError: no (",
    ),
    (
        "env.py that raises",
        write("migrations/env.py", "raise RuntimeError('no')\n"),
        [["showmigrations"], ["makemigrations"], ["rollback", "-y"], ["migrate", "--check"]],
        "env.py raised RuntimeError: no (",
    ),
    (
        "env.py that exits",
        write("migrations/env.py", "raise SystemExit('no')\n"),
        [["showmigrations"], ["makemigrations"], ["sqlmigrate", "--revision", "0001"]],
        "env.py raised SystemExit: no (",
    ),
    (
        "a revision that raises",
        lambda root: add_revision(root, "0002_odd", 'raise KeyError("odd")') and None,
        [["migrate"], ["makemigrations"], ["makemigrations", "--check"]],
        "0002_odd raised KeyError: 'odd' (",
    ),
    (
        "a batch of a column that is not there",
        lambda root: add_revision(root, "0002_odd", BATCH) and None,
        [["migrate"], ["makemigrations"]],
        "migrations/versions/0002_odd.py, line ",
    ),
    (
        "a batch of a table that is not there",
        lambda root: add_revision(root, "0002_odd", BATCH.replace("employee", "nowhere")) and None,
        [["migrate"], ["makemigrations"]],
        "migrations/versions/0002_odd.py, line ",
    ),
    (
        "env.py that runs nothing",
        write("migrations/env.py", "x = 1\n"),
        [["migrate", "--to", "base", "-y"], ["makemigrations"]],
        "env.py runs no migrations",
    ),
    (
        "a revision with a mistyped operation",
        lambda root: add_revision(root, "0002_odd", "op.add_colum()") and None,
        [["migrate"], ["makemigrations"]],
        "hint: did you mean add_column? ",
    ),
    (
        "a mistyped name in the models",
        change("mapped_column(String(100))", "mapped_column(Strng(100))"),
        [["query"], ["makemigrations"]],
        "hint: did you mean String? ",
    ),
    (
        "a mistyped attribute in __str__",
        change("{self.name}", "{self.nme}"),
        [["query"]],
        "hint: did you mean name? ",
    ),
    (
        "__str__ that returns nothing",
        change("        return f", "        f"),
        [["query"]],
        "src/company/models.py, line ",
    ),
    (
        "a seed that takes no session",
        write("src/company/seeds.py", "\n\ndef seed():\n    pass\n"),
        [["seed"]],
        "src/company/seeds.py, line 3)",
    ),
    (
        "metadata= with a mistyped name",
        write("tasks.py", TASKS.format("", "").replace("Base", "Bse")),
        [["query", "-m", "Employee"]],
        "hint: did you mean Base? fix metadata= in tasks.py",
    ),
    (
        "engine= that raises",
        write("tasks.py", TASKS.format("def make():\n    raise OSError(1)", "engine='tasks:make'")),
        [["query", "-m", "Employee"], ["migrate"]],
        "engine= of database 'default' raised OSError: 1 (",
    ),
    (
        "a seed that opens no file",
        write("src/company/seeds.py", "def seed(session):\n    open('/nowhere/x')\n"),
        [["seed"]],
        "company.seeds:seed raised FileNotFoundError",
    ),
    (
        "url= that raises",
        write("tasks.py", TASKS.format("def url():\n    raise OSError('vault')", "url=url")),
        [["query", "-m", "Employee"], ["migrate"], ["waitdb"], ["showmigrations"], ["protect"]],
        "url= of database 'default' raised OSError: vault (",
    ),
    (
        "app= that exits",
        write("tasks.py", TASKS.format("def make():\n    raise SystemExit(3)", "app='tasks:make'")),
        [["query", "-m", "Employee"]],
        "tasks.py raised SystemExit: 3 (",
    ),
]


@pytest.mark.parametrize(
    ("edit", "commands", "words"),
    [pytest.param(*rest, id=name) for name, *rest in CASES],
)
def test_error_of_the_project(
    company: Path, edit: Change, commands: list[list[str]], words: str
) -> None:
    env = clean_environment()
    assert runner.run("migrate", "seed", cwd=company, env=env).returncode == 0
    edit(company)
    for command in commands:
        done = runner.run(*command, cwd=company, env=env)
        assert (done.returncode, words in done.stderr) == (2, True), (command, done)
        assert "Traceback" not in done.stderr
        assert done.stderr.splitlines()[-1] in (
            "state: nothing was changed",
            "state: rolled back",
            "state: rolled back, 0 of 1 applied",
        )


def test_error_of_ours_is_not_the_projects() -> None:
    """env.py calls us, and is above us in the traceback: the innermost of both is at fault."""
    with pytest.raises(ZeroDivisionError) as project:
        1 / 0  # noqa: B018 - to raise
    assert place_in_project(project.value) is not None
    with pytest.raises(AttributeError) as ours:
        place_in_project(None)  # type: ignore[arg-type]  # as a bug would
    assert place_in_project(ours.value) is None


def test_part_of_a_revision_stays(company: Path) -> None:
    block = 'with op.get_context().autocommit_block():\n    op.execute("CREATE TABLE x (id INT)")\n'
    add_revision(company, "0002_odd", f'{block}raise KeyError("odd")')
    done = runner.run("migrate", cwd=company, env=clean_environment())
    assert done.returncode == 6
    assert "raised KeyError: 'odd' (" in done.stderr
    assert done.stderr.endswith("state: 1 of 2 applied, 0002_odd stopped part way\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("from dbtasks import collection\nns = collection(", "tasks.py, line 2)"),
        ("from dbtasks import collection\n1 / 0\n", "ZeroDivisionError: division by zero ("),
        (TASKS.format("", "defalt_url='x'"), "hint: did you mean default_url=? "),
    ],
)
def test_tasks_that_cannot_be_loaded(company: Path, text: str, words: str) -> None:
    (company / "tasks.py").write_text(text)
    done = runner.run("query", cwd=company, env=clean_environment(), program="dbtasks")
    assert (done.returncode, words in done.stderr) == (2, True), done
    assert "Traceback" not in done.stderr


MODELS_TEXT = """
from sqlalchemy import ForeignKey, Table, Column
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

class Base(DeclarativeBase):
    pass

tagged = Table("tagged", Base.metadata, Column("tag_id", ForeignKey("tag.id")),
    Column("product_id", ForeignKey("product.id")))

class Tag(Base):
    __tablename__ = "tag"
    id: Mapped[int] = mapped_column(primary_key=True)

class Category(Base):
    __tablename__ = "category"
    id: Mapped[int] = mapped_column(primary_key=True)
    products: Mapped[list["Product"]] = relationship(back_populates="category")

class Product(Base):
    __tablename__ = "product"
    id: Mapped[int] = mapped_column(primary_key=True)
    category_id: Mapped[int] = mapped_column(ForeignKey("category.id"))
    category: Mapped[Category] = relationship(
        back_populates="products",
        order_by="Category.id",
    )
    tags: Mapped[list[Tag]] = relationship(secondary="tagged")
"""

ENV = """from models import Base
from dbtasks.migrations import environment
environment.run(Base.metadata)
"""

MISTAKES = {
    "a table of a foreign key": (
        *('ForeignKey("category.id")', 'ForeignKey("categry.id")'),
        *("Product.category_id: there is no table 'categry'", "did you mean category?"),
    ),
    "a column of a foreign key": (
        *('ForeignKey("category.id")', 'ForeignKey("category.idd")'),
        *("Product.category_id: the table category has no column 'idd'", "did you mean id?"),
    ),
    "a table of a foreign key of a table": (
        *('ForeignKey("tag.id")', 'ForeignKey("tags.id")'),
        *("tagged: there is no table 'tags'", "did you mean tag?"),
    ),
    "back_populates": (
        *('back_populates="products"', 'back_populates="prodcts"'),
        *("Product.category: Category has no attribute 'prodcts'", "did you mean products?"),
    ),
    "a class in an annotation": (
        *('list["Product"]', 'list["Prodct"]'),
        *("Category.products: there is no model 'Prodct'", "did you mean Product?"),
    ),
    "a class in order_by": (
        *('"Category.id"', '"Categry.id"'),
        *("Product.category: there is no model 'Categry'", "did you mean Category?"),
    ),
    "an attribute in order_by": (
        *('"Category.id"', '"Category.idd"'),
        *("Product.category: Category has no column 'idd'", "did you mean id?"),
    ),
    "a table in secondary": (
        *('secondary="tagged"', 'secondary="taged"'),
        *("Product.tags: there is no table 'taged'", "did you mean tagged?"),
    ),
    "a way to load": (
        *('back_populates="products"', 'back_populates="products", lazy="joned"'),
        *("Can't find strategy (('lazy', 'joned'),) for Product.category", "fix the relationship"),
    ),
    "no foreign key": (
        *('mapped_column(ForeignKey("category.id"))', "mapped_column()"),
        *("parent/child tables on relationship Category.products", "fix the relationship"),
    ),
    "a class that is not imported": (
        *("Mapped[Category]", "Mapped[Categry]"),
        *("raised NameError: name 'Categry' is not defined", "--traceback"),
    ),
    "no primary key": (
        *("class Tag(Base):", 'class Odd(Base):\n    __tablename__ = "odd"\n\nclass Tag(Base):'),
        *("could not assemble any primary key columns", "--traceback"),
    ),
}


OBJECTS = (
    ["query", "-m", "Product"],
    ["add", "-m", "Product", "-s", "category_id=1"],
    ["seed", "--model", "Product", "--count", "1"],
)
TABLES = (["makemigrations", "--dry-run"], ["dumpdata"])
ABOUT_TABLES = ("a table of a foreign key", "a column of a foreign key", "a class that is not")


@pytest.mark.parametrize(
    ("mistake", "command"),
    [
        pytest.param(mistake, command, id=f"{mistake}, {command[0]}")
        for mistake in MISTAKES
        for command in (*OBJECTS, *(TABLES if mistake.startswith(ABOUT_TABLES) else ()))
    ],
)
def test_mistake_in_the_models(tmp_path: Path, mistake: str, command: list[str]) -> None:
    right, wrong, message, hint = MISTAKES[mistake]
    assert MODELS_TEXT.count(right) == 1
    text = MODELS_TEXT.replace(right, wrong)
    (tmp_path / "models.py").write_text(text)
    (tmp_path / "tasks.py").write_text(
        "from dbtasks import collection\n"
        'ns = collection(metadata="models:Base", default_url="sqlite:///app.db")\n'
    )
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection:
        for name in ("tag", "tagged", "category", "product"):
            connection.execute(f"CREATE TABLE {name} (id)")
    shutil.copy(ROOT / "alembic.ini", tmp_path)
    (tmp_path / "migrations" / "versions").mkdir(parents=True)
    (tmp_path / "migrations" / "env.py").write_text(ENV)
    done = runner.run(*command, cwd=tmp_path, env=clean_environment())
    assert done.returncode == 2, done
    error, advice, state = done.stderr.splitlines()[-3:]
    assert message in error
    assert f"({tmp_path / 'models.py'}, line " in error
    if "Category.products" not in message and hint.startswith("did"):
        number = int(error.rpartition(" ")[2].rstrip(")"))
        assert wrong.partition("(")[2] in text.splitlines()[number - 1], error
    assert (hint in advice, state) == (True, "state: nothing was changed")


CALLED = "def call{}:\n    return {}\n"
IN_TASKS = {
    "url= that needs arguments": (
        *('url="start:call"', CALLED.format("(x)", "'sqlite:///app.db'"), "migrate"),
        *("(start.py, line 1)", ""),
    ),
    "engine= that needs arguments": (
        *('engine="start:call"', CALLED.format("(x)", "None"), "migrate"),
        *("(start.py, line 1)", ""),
    ),
    "bootstrap= without an argument": (
        *('bootstrap="start:call"', CALLED.format("()", "None"), "migrate"),
        *("(start.py, line 1)", ""),
    ),
    "a mistyped module of the project": (
        *('seeds="strat:call"', CALLED.format("(session)", "None"), "seed"),
        *("seeds='strat:call': there is no module 'strat'", "did you mean start?"),
    ),
    "a mistyped module in an import": (
        *('seeds="start:call"', "from company.modls import Employee\n", "seed"),
        *("start cannot be imported: No module named 'company.modls'", "company.models?"),
    ),
}


@pytest.mark.parametrize(
    ("setting", "code", "command", "message", "hint"), IN_TASKS.values(), ids=IN_TASKS
)
def test_what_tasks_file_refers_to(
    company: Path, setting: str, code: str, command: str, message: str, hint: str
) -> None:
    (company / "start.py").write_text(code)
    url = "" if setting.startswith(("url", "engine")) else 'default_url="sqlite:///app.db", '
    write("tasks.py", TASKS.format("", f"{url}{setting}"))(company)
    if command == "seed":
        assert runner.run("migrate", cwd=company, env=clean_environment()).returncode == 0
    done = runner.run(command, cwd=company, env=clean_environment())
    assert done.returncode == 2, done
    assert message in done.stderr.replace(f"{company}/", "")
    assert hint in done.stderr


def test_a_revision_without_upgrade(company: Path) -> None:
    path = add_revision(company, "0002_none", "pass")
    path.write_text(path.read_text().replace("def upgrade", "def upgrad"))
    done = runner.run("migrate", cwd=company, env=clean_environment())
    assert done.returncode == 2, done
    assert f"has no attribute 'upgrade' ({path}, line 1)" in done.stderr


def test_a_folder_of_revisions_that_does_not_exist(company: Path) -> None:
    ini = company / "alembic.ini"
    ini.write_text(ini.read_text().replace("/migrations", "/migration"))
    done = runner.run("migrate", cwd=company, env=clean_environment())
    assert done.returncode == 2, done
    assert f"error: Path doesn't exist: {company}/migration\n" in done.stderr
    assert f"hint: fix script_location in {ini}\n" in done.stderr


def test_a_collection_that_has_another_name(company: Path) -> None:
    (company / "tasks.py").write_text("names = []\n")
    done = runner.run("migrate", cwd=company, env=clean_environment(), program="dbtasks")
    assert done.returncode == 2, done
    assert "tasks.py has no commands\nhint: name the collection in it ns: ns = coll" in done.stderr
