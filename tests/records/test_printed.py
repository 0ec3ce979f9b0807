"""What `query` prints in a cell is found by `--where`, and read back by `add --from-file`."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from conftest import Database
from dbtasks import Project
from dbtasks.cells import cell_of
from dbtasks.errors import UsageError
from dbtasks.output import Output
from dbtasks.records import Preview, Updated, add, get, query, read_records, update


class Base(DeclarativeBase):
    pass


class Cell(Base):
    __tablename__ = "cell"
    id: Mapped[int] = mapped_column(primary_key=True)
    c: Mapped[Any] = mapped_column(sa.Double().with_variant(mysql.DOUBLE(), "mysql", "mariadb"))


class Holder(Base):
    __tablename__ = "holder"
    id: Mapped[int] = mapped_column(primary_key=True)
    cell_id: Mapped[int] = mapped_column(sa.ForeignKey("cell.id"))
    cell: Mapped[Cell] = relationship()


class Note(Base):
    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
    c: Mapped[Any] = mapped_column(sa.JSON)


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


OF_POSTGRESQL = [
    (postgresql.INT4RANGE(), "'[1,5)'", "[1,5)"),
    (postgresql.INT4MULTIRANGE(), "'{[1,5),[7,9)}'", "{[1,5),[7,9)}"),
    (postgresql.TSVECTOR(), "'a b'", "'a' 'b'"),
    (postgresql.ARRAY(sa.CHAR(4)), "'{a,b}'", '["a   ", "b   "]'),
    (sa.ARRAY(sa.Double(asdecimal=True)), "'{0.1,1e-15}'", '["0.1", "1E-15"]'),
    (sa.ARRAY(sa.JSON), "ARRAY['\"1\"', '1']::json[]", '["1", 1]'),
    (sa.ARRAY(sa.LargeBinary), "'{abc}'", '["YWJj"]'),
]


@pytest.mark.every_value
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("kind", "written", "cell"), OF_POSTGRESQL)
def test_types_of_postgresql(
    tmp_path: Path, database: Database, kind: Any, written: str, cell: str
) -> None:
    """Ranges are compared with what is typed, and arrays of documents by their values."""
    with stored(tmp_path, database, kind, [sa.text(written), sa.text("NULL")]) as project:
        assert check_cells(project) == [cell, ""]
        assert len([*query(project, "cell", order_by=["c"]).rows()]) == 2


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
        with pytest.raises(UsageError, match="c is SET, and sets have no order"):
            ids(project, "c__gt=a,b")
        add(project, "cell", values=["id=5", "c=b,a,z"])
        assert dict(get(project, "cell", pk=["5"]).values)["c"] == {"a", "b", "z"}
        with pytest.raises(UsageError, match="it has z, a, b"):
            add(project, "cell", values=["id=6", "c=b,d"])


@pytest.mark.filterwarnings("ignore:Type object.*mysql.types.BIT")  # SQLAlchemy 2.1's own
@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_bits_of_mariadb(tmp_path: Path, database: Database) -> None:
    """A digit that is sent as a text would be stored as the code of its character."""
    with stored(tmp_path, database, mysql.BIT(8), [5, 57, 0, None]) as project:
        assert check_cells(project) == ["5", "57", "0", ""]
        add(project, "cell", values=["id=5", "c=9"])
        assert update(project, "cell", pk=["1"], values=["c=6"]).changed == 1
        assert ids(project, "c__in=6,9") == [1, 5]
        for text in ("256", "-1", "x"):
            with pytest.raises(UsageError, match="not a value of type BIT"):
                update(project, "cell", pk=["1"], values=[f"c={text}"])
        with pytest.raises(UsageError, match="it is not from 0 to 255"):
            add(project, "cell", records=iter([{"id": 7, "c": 256}]))


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


NUMBERS = [0.1 + 0.2, 1e-15, 1.5, 1e300, -2.0, None]
SHOWN = ["0.30000000000000004", "1E-15", "1.5", "1E+300", "-2.0", ""]


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
@pytest.mark.parametrize("kind", [sa.Double(asdecimal=True), mysql.DOUBLE(), mysql.REAL()])
def test_binary_numbers_as_decimals(tmp_path: Path, database: Database, kind: Any) -> None:
    """All digits are printed, and not the ten decimals that SQLAlchemy makes of a number."""
    if database.kind == "postgresql" and isinstance(kind, (mysql.DOUBLE, mysql.REAL)):
        kind = sa.Float(53, asdecimal=True)
    with stored(tmp_path, database, kind, NUMBERS) as project:
        assert check_cells(project) == SHOWN
        assert get(project, "cell", pk=["1"]).values["c"] == Decimal(SHOWN[0])
        assert ids(project, f"c__gte={SHOWN[0]}") == [1, 3, 4]


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_objects_and_tables_have_what_is_stored(tmp_path: Path, database: Database) -> None:
    with stored(tmp_path, database, mysql.DOUBLE(), NUMBERS[:1]) as project:
        assert [row.c for row in query(project, table="cell").rows()] == [Decimal(SHOWN[0])]
    settings = Project.configure(tmp_path, url=database.url).settings
    with Project(settings, metadata=Base.metadata) as project:
        assert get(project, "Cell", pk=["1"]).values["c"] == Decimal(SHOWN[0])
        assert update(project, "Cell", pk=["1"], values=[f"c={SHOWN[0]}"]) == Updated(1, 0)
        with project.migrating(writes=True) as connection, connection.begin():
            Base.metadata.create_all(connection)
        add(project, "Holder", values=["id=1", "cell_id=1"])
        related = get(project, "Holder", pk=["1"]).related["cell"]
        assert related is not None
        assert related.values["c"] == Decimal(SHOWN[0])


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
@pytest.mark.parametrize("kind", [sa.Time(), mysql.TIME(fsp=6)])
def test_times_beyond_a_day(tmp_path: Path, database: Database, kind: Any) -> None:
    times = ["-01:00:00", "30:00:00", "-838:59:59", "-00:30:00", "23:00:00", "00:00:00"]
    fine = ["-00:00:00.500000", "24:00:00.000001"] if isinstance(kind, mysql.TIME) else []
    values = [sa.text(f"'{one}'") for one in times + fine]
    with stored(tmp_path, database, kind, values) as project:
        assert check_cells(project) == times + fine
        assert get(project, "cell", pk=["1"]).values["c"] == "-01:00:00"
        assert ids(project, "c__lt=-00:30:00") == [1, 3]
        assert ids(project, "c__gt=23:00:00") == [2, 8][: 1 + len(fine) // 2]
        assert ids(project, "c__range=23:00:00,30:00:00") == [2, 5, 8][: 2 + len(fine) // 2]
        rows = query(project, "cell", order_by=["c"], columns=["id"], limit=4).rows()
        assert [number for (number,) in rows][:3] == [3, 1, 4]
        for refused in ("839:00:00", "30:00", "-1:60:00", "30:00:00.1234567"):
            with pytest.raises(UsageError, match="is not a value of type"):
                ids(project, f"c={refused}")
        if not fine:
            with pytest.raises(UsageError, match="the column keeps no fraction"):
                add(project, "cell", values=["id=9", "c=30:00:00.5"])


class Parsed(sa.TypeDecorator[Any]):
    """Store documents as text."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        return None if value is None else json.loads(value)


class Lower(sa.TypeDecorator[str]):
    """Keep texts in lower case: its strings are texts, and no documents."""

    impl = sa.String(50)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        return None if value is None else value.lower()

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        return value


class Wrapped(sa.TypeDecorator[Any]):
    """Change nothing of a JSON column."""

    impl = sa.JSON
    cache_ok = True


DOCUMENTS = ["1", 1, "{}", {}, "true", True, "a b", 'say "a"', "null", [1, "1"], "", 1.5]


@pytest.mark.every_value
@pytest.mark.parametrize("kind", [sa.JSON(), Parsed(), Wrapped()])
def test_strings_of_documents(tmp_path: Path, database: Database, kind: Any) -> None:
    """They are printed in their quotes: without them a number or an object would be read."""
    with stored(tmp_path, database, kind, DOCUMENTS) as project:
        cells = check_cells(project)
        assert cells == [json.dumps(one) for one in DOCUMENTS]
        assert get(project, "cell", pk=["1"]).values["c"] == "1"
        lines = [json.loads(line)["c"] for line in printed(project, "jsonl").splitlines()]
        assert lines == DOCUMENTS
        assert '"1"' in printed(project, "markdown")
        assert '"1"' in printed(project, "table")


def test_texts_have_no_quotes(tmp_path: Path, database: Database) -> None:
    with stored(tmp_path, database, Lower(), ["1", "{}", "true", "a"]) as project:
        assert check_cells(project) == ["1", "{}", "true", "a"]


def test_strings_of_documents_in_an_object(tmp_path: Path, database: Database) -> None:
    kept: list[Preview] = []
    settings = Project.configure(tmp_path, url=database.url).settings
    with Project(settings, metadata=Base.metadata) as project:
        with project.migrating(writes=True) as connection, connection.begin():
            Base.metadata.create_all(connection)
        add(project, "Note", values=["id=1", 'c="1"'])
        assert cell_of(get(project, "Note", pk=["1"]).values["c"]) == '"1"'
        update(project, "Note", pk=["1"], values=["c=1"], on_preview=kept.append)
        assert [cell_of(rows[0][1]) for rows in (kept[0].before, kept[0].after)] == ['"1"', "1"]
