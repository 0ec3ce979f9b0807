"""Revisions written into a copy of the reference project, for tests of what migrations do."""

from pathlib import Path

from dbtasks.migrations.history.reader import files_of, find_heads
from dbtasks.settings import Settings

TEMPLATE = '''"""{message}"""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {after!r}


def upgrade():
    {upgrade}


def downgrade():
    {downgrade}
'''

FIRST = "0001_department_employee"

ADD = 'op.add_column("{}", sa.Column("{}", sa.String(20)))'
DROP = 'op.drop_column("{}", "{}")'


def heads_of(settings: Settings) -> frozenset[str] | None:
    """Return the heads as they are read without Alembic; None where only it can tell."""
    revisions = files_of(settings)
    return None if revisions is None else find_heads(revisions)


def add_revision(
    root: Path,
    revision: str,
    upgrade: str = "pass",
    *,
    downgrade: str = "pass",
    after: str | None = FIRST,
) -> Path:
    """Write a revision; the bodies are one statement a line."""
    path = root / "migrations" / "versions" / f"{revision}.py"
    path.write_text(
        TEMPLATE.format(
            message=revision[5:],
            revision=revision,
            after=after,
            upgrade=upgrade.strip().replace("\n", "\n    "),
            downgrade=downgrade.strip().replace("\n", "\n    "),
        )
    )
    return path


def paths(folder: Path) -> list[Path]:
    """Return all files and folders in a folder, without the bytecode that Python keeps."""
    return sorted(one for one in folder.rglob("*") if "__pycache__" not in one.parts)


def revisions(company: Path) -> list[str]:
    """Return the files that stand in the folder of the revisions, whatever they are."""
    folder = company / "migrations" / "versions"
    return sorted(one.name for one in folder.iterdir() if one.is_file())


def part(company: Path, *, theirs: str = "department") -> None:
    """Write two revisions of mine, and one of theirs, after the first."""
    mine = "employee", "nick"
    add_revision(company, "0002_nick", ADD.format(*mine), downgrade=DROP.format(*mine))
    again = "employee", "phone"
    add_revision(
        company,
        "0003_phone",
        ADD.format(*again),
        downgrade=DROP.format(*again),
        after="0002_nick",
    )
    add_revision(
        company,
        "0002_floor",
        ADD.format(theirs, "floor"),
        downgrade=DROP.format(theirs, "floor"),
    )


def add_branch(root: Path, revision: str = "b001_bill", *, depends_on: str | None = None) -> Path:
    """Write the first revision of a branch that is labelled, and begins by itself."""
    path = add_revision(root, revision, after=None)
    head = f"branch_labels = {revision[5:]!r}\ndepends_on = {depends_on!r}\n"
    path.write_text(path.read_text().replace("down_revision", f"{head}down_revision"))
    return path
