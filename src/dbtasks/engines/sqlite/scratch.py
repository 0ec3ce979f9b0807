"""Scratch databases of SQLite: a file in a temporary folder."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from time import time
from typing import TYPE_CHECKING

from sqlalchemy import URL, Connection
from sqlalchemy.engine import Dialect

from dbtasks import files
from dbtasks.engines.base.connection import AUTOCOMMIT
from dbtasks.engines.base.definitions import INDEX, TABLE, TRIGGER, VIEW, Definition, Key
from dbtasks.engines.base.scratch import NEW_SECONDS, PREFIX, Scratch
from dbtasks.errors import UsageError
from dbtasks.interrupts import ending

if TYPE_CHECKING:
    from dbtasks.engines.base.backend import Backend


class FileScratch(Scratch):
    """Make a file in a temporary folder."""

    is_file = True
    conditions = """
        SELECT sqlite_source_id() WHERE (SELECT count(*) FROM pragma_database_list) = 1
    """

    @contextmanager
    def reached(self) -> Iterator[Connection]:
        """Connect to a database in memory."""
        backend = self.backend.at(URL.create(self.backend.url.drivername))
        engine = backend.make_engine(isolation_level=AUTOCOMMIT)
        with ending(engine.dispose), closing(backend.open(engine)) as connection:
            yield connection

    @contextmanager
    def opened(self) -> Iterator[URL]:
        """Yield the URL of a file that does not exist yet, in a folder that is locked."""
        _remove_abandoned()
        with (
            tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as folder,
            ExitStack() as stack,
        ):
            with suppress(OSError):  # a filesystem without locks
                stack.enter_context(files.locked(Path(folder)))
            yield URL.create(self.backend.url.drivername, database=str(Path(folder) / "scratch.db"))

    @contextmanager
    def emptied(self, own: "Backend") -> Iterator[None]:
        """Refuse it: a file can always be made."""
        raise UsageError(
            "SQLite needs no scratch_url: a scratch database is a temporary file",
            hint="leave out scratch_url; TMPDIR names the folder",
        )
        yield

    def statements(self, definitions: Mapping[Key, Definition], dialect: Dialect) -> Iterator[str]:
        """Yield them as they were sent; a virtual table makes more, which are there then."""
        made = [(key.kind, definition.sql) for key, definition in definitions.items()]
        kinds = (TABLE, INDEX, VIEW, TRIGGER)
        for virtual in (True, False):
            for kind in kinds:
                for known, sql in made:
                    if known == kind and sql.upper().startswith("CREATE VIRTUAL ") is virtual:
                        yield sql.replace("CREATE TABLE ", "CREATE TABLE IF NOT EXISTS ", 1)


def _remove_abandoned() -> None:
    """Remove the folders that killed commands have left; their locks are gone with them."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            if time() - folder.stat().st_mtime > NEW_SECONDS:
                with files.locked(folder, wait=False):
                    shutil.rmtree(folder)
