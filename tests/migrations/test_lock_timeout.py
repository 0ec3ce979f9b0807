"""DDL behind an open transaction gives up in time, tries again, and lets readers through."""

import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest
from sqlalchemy import create_engine, text

from conftest import Database, clean_environment
from dbtasks import Project, migrations
from trees import add_revision

servers_only = pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)


@servers_only
def test_gives_up_in_time_and_others_read_meanwhile(
    company: Path, project: Project, database: Database
) -> None:
    migrations.migrate(project)
    add_revision(
        company, "0002_email", 'op.add_column("employee", sa.Column("email", sa.String(50)))'
    )
    engine = create_engine(database.url)
    count = text("SELECT count(*) FROM employee")
    with engine.connect() as holder:
        holder.execute(count)  # and its transaction stays open
        process = subprocess.Popen(
            [sys.executable, "-m", "invoke", "migrate", "--lock-timeout", "1"],
            cwd=company,
            env=clean_environment() | {"DATABASE_URL": database.url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        slowest, served = 0.0, 0
        while process.poll() is None:
            began = monotonic()
            with engine.connect() as reader:
                reader.execute(count)
            slowest, served = max(slowest, monotonic() - began), served + 1
            sleep(0.05)
        out, err = process.communicate()
        assert process.returncode == 4, out + err
        assert "end what is in the way" in err
        assert "open are: connection" in err
        assert slowest < 5  # a reader waits behind the DDL no longer than its second
        assert served > 20
    engine.dispose()
    assert [step.revision.id for step in migrations.migrate(project).steps] == ["0002_email"]
