"""Each private name and each replaced function of another package: named here, and still there.

A new one in src/dbtasks fails until it has its line; one that nobody uses any more has none. The
second test fails where a newer SQLAlchemy or Alembic has changed what we rely on.
"""

import ast
import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import autogenerate
from alembic.autogenerate import render
from alembic.autogenerate.api import AutogenContext
from alembic.ddl.impl import DefaultImpl
from alembic.ddl.postgresql import PostgresqlImpl
from alembic.operations.base import AbstractOperations
from alembic.operations.batch import BatchOperationsImpl
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import Revision
from alembic.util import sqla_compat
from sqlalchemy import event
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from conftest import ROOT

SOURCE = ROOT / "src" / "dbtasks"
ALEMBIC = "https://github.com/sqlalchemy/alembic/issues/"
SQLALCHEMY = "https://github.com/sqlalchemy/sqlalchemy/issues/"


def parameters(function: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


def revision_steps() -> bool:
    wanted = {
        "_upgrade_revs": ["destination", "current_rev"],
        "_downgrade_revs": ["destination", "current_rev"],
        "_stamp_revs": ["revision", "heads"],
    }
    return all(
        parameters(getattr(ScriptDirectory, name))[:2] == names for name, names in wanted.items()
    )


def file_of_a_revision() -> bool:
    given = parameters(ScriptDirectory._rev_path)
    calls = inspect.getsource(ScriptDirectory.generate_revision)
    return (
        given == ["path", "rev_id", "message", "create_date"]
        and parameters(ScriptDirectory._generate_template)[-1] == "kw"
        and "self._generate_template(" in calls
        and "self._rev_path(" in calls
    )


def boolean_has_a_check_of_its_type() -> sa.CheckConstraint:
    table = sa.Table("t", sa.MetaData(), sa.Column("b", sa.Boolean(create_constraint=True)))
    [check] = [one for one in table.constraints if isinstance(one, sa.CheckConstraint)]
    return check


def variants() -> bool:
    given = sa.String().with_variant(sa.Text(), "mysql")
    return set(given._variant_mapping) == {"mysql"} and sa.String()._variant_mapping == {}


def rows_of_an_insert() -> bool:
    table = sa.table("t", sa.column("a"))
    given: Any = sa.insert(table).values([{"a": 1}, {"a": 2}])
    return len(given._multi_values[0]) == 2


def copies_a_column() -> bool:
    column = sa.Column("a", sa.Integer, sa.CheckConstraint("a > 0"), sa.ForeignKey("t.a"))
    copied = column._copy()
    return copied is not column and len(copied.constraints) == 1 and copied.table is None


def environment_has_proxies_of_its_own_class_only() -> bool:
    """A subclass of EnvironmentContext would be the public way; alembic.context does not see it."""
    found = inspect.getsource(EnvironmentContext._install_proxy)
    return "_setups[self.__class__]" in found or "self.__class__" in found


def commit_has_no_event_after_it() -> bool:
    return not hasattr(Connection.dispatch, "after_commit")


def statements_of_an_impl() -> bool:
    return (
        parameters(DefaultImpl._exec)[0] == "construct"
        and parameters(DefaultImpl.bulk_insert)[:2] == ["table", "rows"]
        and "self._exec(" in inspect.getsource(DefaultImpl.create_table)
    )


NAMES: dict[str, tuple[Callable[[], object], str]] = {
    # Alembic
    "_upgrade_revs": (
        revision_steps,
        "what its commands call: iterate_revisions lacks their errors",
    ),
    "_downgrade_revs": (revision_steps, "as _upgrade_revs"),
    "_stamp_revs": (revision_steps, "as _upgrade_revs"),
    "_load_revisions": (
        lambda: inspect.isgeneratorfunction(ScriptDirectory._load_revisions),
        "the files before they make a history; walk_revisions() keeps one of two with one id",
    ),
    "_generate_template": (file_of_a_revision, f"no public place for it: {ALEMBIC}581"),
    "_rev_path": (file_of_a_revision, f"file_template has no public function: {ALEMBIC}581"),
    "_orig_branch_labels": (
        lambda: Revision("a", None, branch_labels="x")._orig_branch_labels == ("x",),
        "branch_labels has those of other revisions, too",
    ),
    "_all_down_revisions": (
        lambda: isinstance(Revision._all_down_revisions, property),
        "parents and dependencies, resolved",
    ),
    "_has_batch": (lambda: "_has_batch" in AutogenContext.__dict__ | vars(_autogen()), "renderers"),
    "_exec": (statements_of_an_impl, "what each operation without rows comes by"),
    "_registry": (
        lambda: isinstance(autogenerate.comparators._registry, dict),
        "which comparators other packages have registered",
    ),
    "_get_constraint_final_name": (
        lambda: parameters(sqla_compat._get_constraint_final_name) == ["constraint", "dialect"],
        "a name by the naming convention, as the database sees it",
    ),
    "_repr_type": (
        lambda: parameters(render._repr_type)[:2] == ["type_", "autogen_context"],
        f"types as code; render_item is the reverse: {ALEMBIC}1175",
    ),
    "_render_column": (
        lambda: parameters(render._render_column) == ["column", "autogen_context"],
        f"columns as code: {ALEMBIC}1175",
    ),
    "_render_server_default": (
        lambda: parameters(render._render_server_default)[:2] == ["default", "autogen_context"],
        f"defaults as code: {ALEMBIC}641",
    ),
    "_should_recreate": (
        lambda: parameters(BatchOperationsImpl._should_recreate) == [],
        "whether a batch rebuilds the table",
    ),
    # SQLAlchemy
    "_copy": (copies_a_column, f"Alembic takes it as well: {SQLALCHEMY}5953"),
    "_variant_mapping": (variants, f"with_variant() has no reader; Alembic too: {ALEMBIC}1167"),
    "_user_defined_nullable": (
        lambda: sa.Column("a", nullable=True)._user_defined_nullable is True,
        "what a column was given, with its nullable",
    ),
    "_as_for_update": (
        lambda: parameters(sa.DefaultClause._as_for_update) == ["for_update"],
        "a default of a column that has none yet",
    ),
    "_prefixes": (
        lambda: sa.Table("t", sa.MetaData(), prefixes=["TEMPORARY"])._prefixes == ["TEMPORARY"],
        "prefixes= of a table has no reader",
    ),
    "_type_affinity": (
        lambda: sa.Text()._type_affinity is sa.String,
        "which types are one kind, as DefaultImpl.compare_type asks",
    ),
    "_type_bound": (
        lambda: boolean_has_a_check_of_its_type()._type_bound,
        "a check that a type brings is not written twice",
    ),
    "_create_rule": (
        lambda: boolean_has_a_check_of_its_type()._create_rule is not None,
        "a check of a type that a dialect has no use for",
    ),
    "_should_create_for_compiler": (
        lambda: parameters(sa.CheckConstraint._should_create_for_compiler)[0] == "compiler",
        "ddl_if(): what CREATE TABLE leaves out on a database",
    ),
    "_set_parent_with_dispatch": (
        lambda: parameters(sa.Column._set_parent_with_dispatch)[0] == "parent",
        "Table.append_column refuses what has a table",
    ),
    "_unwrapped_dialect_impl": (
        lambda: parameters(sa.types.TypeEngine._unwrapped_dialect_impl) == ["dialect"],
        "the type below those of the project",
    ),
    "_compiler_dispatcher": (
        lambda: "_compiler_dispatcher" in _source("sqlalchemy.ext.compiler"),
        "which constructs the project compiles by itself",
    ),
    "_multi_values": (rows_of_an_insert, "how many rows an INSERT has"),
    "_reg": (
        lambda: sqlite.DATETIME()._reg is None,
        "a format of its own, which comparisons of texts cannot have",
    ),
    "_for_class": (
        lambda: parameters(Session.dispatch._for_class) == ["instance_cls"],
        "sessions without the listeners of the class Session",
    ),
    "_all_registries": (
        lambda: callable(sys.modules["sqlalchemy.orm.mapper"]._all_registries),
        "all mapped classes: registry.mappers has those of one",
    ),
    # others
    "_getframe": (lambda: True, "documented by Python"),
    "_exit": (lambda: True, "documented by Python"),
    "_replace": (lambda: True, "documented by Python, of named tuples"),
    "_get_current_object": (lambda: True, "documented by Werkzeug"),
    "_sock": (lambda: "_sock" in _source("pymysql.connections"), "PyMySQL has no fileno()"),
}

REPLACED: dict[str, tuple[Callable[[], object], str]] = {
    "environment.configure": (
        environment_has_proxies_of_its_own_class_only,
        "alembic.context knows no subclass of EnvironmentContext",
    ),
    "dialect.do_commit": (commit_has_no_event_after_it, f"declined: {SQLALCHEMY}4943"),
    "dialect.inspector": (
        lambda: ".inspector" in _source("sqlalchemy.engine.reflection"),
        "hides our tables; documented for dialects only",
    ),
    "offline.impl._exec": (statements_of_an_impl, "counts statements without a database"),
    "offline.impl.bulk_insert": (statements_of_an_impl, "the same, for rows"),
    "context.impl.render_type": (
        lambda: parameters(PostgresqlImpl.render_type) == ["type_", "autogen_context"],
        "types of PostgreSQL as variants, rendered for another database",
    ),
    "scripts._generate_template": (file_of_a_revision, f"{ALEMBIC}581"),
    "AbstractOperations.invoke": (
        lambda: (
            parameters(AbstractOperations.invoke) == ["operation"]
            and "operations.invoke(" in _source("alembic.operations.ops")
        ),
        f"operations have no event; {ALEMBIC}1750",
    ),
    "BatchOperationsImpl.flush": (
        lambda: "def flush(self) -> None:" in _source("alembic.operations.batch"),
        "with recreate='always' no DefaultImpl is asked before the table is reflected",
    ),
    "ParseMachine.complete_flag": (
        lambda: "complete_flag" in _source("invoke.parser.parser"),
        "an option without its value",
    ),
    "Thread.start": (lambda: callable(threading.Thread.start), "python/cpython has no event of it"),
}
"""Functions of other packages that are replaced, on an object or on their class."""

OBJECTS = ("dialect", "impl", "environment", "context", "scripts", "ParseMachine", "Thread")
OBJECTS += ("AbstractOperations", "BatchOperationsImpl", "Operations", "comparators")


def _autogen() -> AutogenContext:
    return AutogenContext(MigrationContext.configure(dialect_name="sqlite"))


def _source(module: str) -> str:
    from importlib import import_module

    return inspect.getsource(import_module(module))


@cache
def trees() -> list[ast.Module]:
    return [ast.parse(path.read_text()) for path in sorted(SOURCE.rglob("*.py"))]


def is_private(name: object) -> bool:
    return isinstance(name, str) and name.isidentifier() and name[0] == "_" and name[-1] != "_"


def defined() -> set[str]:
    """Return the names that dbtasks gives to anything of its own."""
    names: set[str] = set()
    for node in (node for tree in trees() for node in ast.walk(tree)):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
                names.add(name)
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
    return names


def names_in(node: ast.AST) -> Iterator[object]:
    """Yield the names of others' objects and modules that a node has."""
    match node:
        case ast.Attribute(value=ast.Name(id="self" | "cls")):
            pass
        case ast.Attribute(attr=name):
            yield name
        case ast.ImportFrom(module=str(module), names=names) if not module.startswith("dbtasks"):
            yield from (one.name for one in names)
        case ast.Call(func=ast.Name(id="getattr" | "hasattr"), args=[_, ast.Constant(name), *_]):
            yield name
        case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="vars")), attr="get")):
            yield from (one.value for one in node.args if isinstance(one, ast.Constant))


def used() -> set[str]:
    """Return the private names of others' objects and modules."""
    nodes = (node for tree in trees() for node in ast.walk(tree))
    return {str(name) for node in nodes for name in names_in(node) if is_private(name)}


def replaced() -> Iterator[str]:
    for node in (node for tree in trees() for node in ast.walk(tree)):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                text = ast.unparse(target)
                owner, _, name = text.rpartition(".")
                if owner.rpartition(".")[2] in OBJECTS and name not in ("revision_map", TEMPLATE):
                    yield text


TEMPLATE = "file_template"
"""With revision_map an attribute that Alembic documents."""


def test_each_private_name_has_its_reason_here() -> None:
    ours = defined() - {"_copy"}
    assert sorted(used() - ours - {*NAMES}) == []
    assert sorted({*NAMES} - used()) == []


def test_each_replaced_function_has_its_reason_here() -> None:
    assert sorted({*replaced()}) == sorted(REPLACED)


@pytest.mark.parametrize("name", sorted({*NAMES} | {*REPLACED}))
def test_what_we_rely_on_is_there(name: str) -> None:
    check, reason = (NAMES | REPLACED)[name]
    assert check(), f"{name} has changed: {reason}"


def test_events_that_would_replace_a_patch_do_not_exist() -> None:
    """Where this fails, SQLAlchemy has an event after a COMMIT, which `do_commit` stands for."""
    engine = sa.create_engine("sqlite://")
    with (
        engine.connect() as connection,
        pytest.raises((sa.exc.InvalidRequestError, AttributeError)),
    ):
        event.listen(connection, "after_commit", lambda connection: None)
    engine.dispose()
