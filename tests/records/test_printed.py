"""What `query` prints in a cell is found by `--where`, and read back by `add --from-file`."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql

from conftest import Database
from dbtasks import Project
from dbtasks.errors import UsageError
from dbtasks.output import Output
from dbtasks.records import add, get, query, read_records


class Labels(sa.TypeDecorator[Any]):
    """Store a set, or a tuple, as texts with commas."""

    impl = sa.String(50)
    cache_ok = True

    def __init__(self, kind: Callable[[Any], Any]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        return None if value is None else ",".join(sorted(value))

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        return None if value is None else self.kind(value.split(","))


@contextmanager
def stored(
    folder: Path, database: Database, kind: Any, values: Sequence[Any], *, key: bool = False
) -> Iterator[Project]:
    """Give a project whose table `cell` has a row for each value, numbered from 1."""
    metadata = sa.MetaData()
    columns = (
        sa.Column("id", sa.Integer, primary_key=not key),
        sa.Column("c", kind, primary_key=key),
    )
    table = sa.Table("cell", metadata, *columns)
    settings = Project.configure(folder, url=database.url).settings
    with Project(settings, metadata=metadata) as project:
        with project.migrating(writes=True) as connection, connection.begin():
            metadata.create_all(connection)
            for number, value in enumerate(values, 1):
                if isinstance(value, sa.TextClause):
                    connection.execute(sa.text(f"INSERT INTO cell VALUES ({number}, {value})"))
                else:
                    connection.execute(table.insert(), {"id": number, "c": value})
        yield project


def printed(project: Project, format_: str = "csv") -> str:
    """Return all rows as `query` prints them."""
    found = query(project, "cell")
    output = Output()
    output.stdout = io.StringIO()
    output.records(found.columns, found.rows(), format_)
    return output.stdout.getvalue()


def ids(project: Project, condition: str) -> list[int]:
    found = query(project, "cell", where=[condition], order_by=["id"], columns=["id"])
    return [number for (number,) in found.rows()]


def check_cells(project: Project) -> list[str]:
    """Hold each printed cell to what finds it, and the file to what it is read back as."""
    text = printed(project)
    rows = sorted(csv.DictReader(io.StringIO(text)), key=lambda row: int(row["id"]))
    cells = [row["c"] for row in rows]
    for cell in {*cells} - {""}:
        alike = [number for number, other in enumerate(cells, 1) if other == cell]
        others = [number for number, other in enumerate(cells, 1) if other not in (cell, "")]
        quoted = cell.replace('"', '""')
        assert ids(project, f"c={cell}") == alike, cell
        assert ids(project, f"c__ne={cell}") == others, cell
        assert ids(project, f'c__in="{quoted}"') == alike, cell
    again = read_records(io.StringIO(text), "cell.csv")
    assert add(project, "cell", records=again, upsert=True).overwritten == len(cells)
    assert printed(project) == text
    return cells


@pytest.mark.parametrize("kind", [set, frozenset, tuple, list])
def test_lists_of_a_decorator(tmp_path: Path, database: Database, kind: Any) -> None:
    with stored(tmp_path, database, Labels(kind), [{"b", "a"}, {"c"}, None]) as project:
        assert check_cells(project) == ['["a", "b"]', '["c"]', ""]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_arrays(tmp_path: Path, database: Database) -> None:
    values = [[1.5, float("inf")], [float("-inf")], None]
    with stored(tmp_path, database, sa.ARRAY(sa.Float), values) as project:
        assert check_cells(project) == ['[1.5, "inf"]', '["-inf"]', ""]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_arrays_of_tuples(tmp_path: Path, database: Database) -> None:
    kind = postgresql.ARRAY(sa.Integer, as_tuple=True)
    with stored(tmp_path, database, kind, [[1, 2], [3], None]) as project:
        assert check_cells(project) == ["[1, 2]", "[3]", ""]


def test_pickled_objects(tmp_path: Path, database: Database) -> None:
    values = [{1, "a"}, {None, 1}, {(1, 2): 3}, {"a": float("inf")}]
    with stored(tmp_path, database, sa.PickleType, values) as project:
        lines = printed(project, "jsonl").splitlines()
        assert [line.partition('"c": ')[2][:-1] for line in lines] == [
            '["a", 1]',
            "[1, null]",
            '{"[1, 2]": 3}',
            '{"a": "inf"}',
        ]


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_sets_of_mariadb(tmp_path: Path, database: Database) -> None:
    """They are printed as JSON, and typed so or with commas, in any order."""
    kind = mysql.SET("z", "a", "b", collation="utf8mb4_general_ci")
    with stored(tmp_path, database, kind, [{"a", "b"}, {"z", "a"}, set(), None]) as project:
        assert check_cells(project) == ['["a", "b"]', '["a", "z"]', "[]", ""]
        for text in ("a,b", "b,a", '["b", "a"]'):
            assert ids(project, f"c={text}") == [1]
            assert ids(project, f"c__ne={text}") == [2, 3]
        assert ids(project, "c=") == [3]
        assert ids(project, 'c__in="b,a",z') == [1]
        assert ids(project, "c__contains=z") == [2]
        add(project, "cell", values=["id=5", "c=b,a,z"])
        assert dict(get(project, "cell", pk=["5"]).values)["c"] == {"a", "b", "z"}
        with pytest.raises(UsageError, match="it has z, a, b"):
            add(project, "cell", values=["id=6", "c=b,d"])


@pytest.mark.parametrize("kind", [sa.CHAR(5), sa.NCHAR(5)])
@pytest.mark.parametrize("key", [False, True])
def test_filled_texts(tmp_path: Path, database: Database, kind: Any, key: bool) -> None:
    """PostgreSQL fills a CHAR up with blanks, and prints them."""
    with stored(tmp_path, database, kind, ["a", "ab", "abcde"], key=key) as project:
        filled = database.kind == "postgresql"
        cells = check_cells(project)
        assert cells == (["a    ", "ab   ", "abcde"] if filled else ["a", "ab", "abcde"])
        assert ids(project, "c=a") == ids(project, "c__iexact=A") == [1]
        assert ids(project, "c__endswith=b") == [2]
        assert ids(project, f"c__gt={cells[0]}") == ids(project, f"c__ne={cells[0]}") == [2, 3]
        assert ids(project, f"c__range={cells[0]},{cells[1]}") == [1, 2]
        assert ids(project, f"c__lt={cells[0]}") == []
        if key:
            assert get(project, "cell", pk=[cells[1]]).values["id"] == 2
