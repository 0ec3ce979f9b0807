"""search

Revision ID: c2b6e1f4907a
Revises:
"""

from alembic import op

revision = "c2b6e1f4907a"
down_revision = None
branch_labels = ("search",)
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE search (word TEXT COLLATE NOCASE NOT NULL)")


def downgrade() -> None:
    op.drop_table("search")
