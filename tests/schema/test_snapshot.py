"""The snapshot of a database: how it is read."""

from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table

from conftest import Database, statements_sent
from dbtasks import Project
from dbtasks.schema.snapshot import take


def test_a_snapshot_takes_few_statements_whatever_the_number_of_tables(
    project: Project, database: Database
) -> None:
    """MySQL and MariaDB tell one table at a time."""
    numbers = []
    with project.migrating(writes=True) as connection, connection.begin():
        for tables in (3, 40):
            metadata = MetaData()
            for number in range(tables):
                before = Column("before", ForeignKey(f"t{max(number - 1, 0)}.id"), index=True)
                key = Column("id", Integer, primary_key=True)
                Table(f"t{number}", metadata, key, before)
            metadata.create_all(connection)
            with statements_sent(connection.engine) as statements:
                snapshot = take(project.backend, connection)
            assert len(snapshot.tables) == tables
            numbers.append(len(statements) - (tables if database.kind == "mariadb" else 0))
    assert numbers[0] == numbers[1] <= 30
