"""book

Revision ID: 8a4e9d03c6f2
Revises: 1f0c5d2a7b31
"""

import sqlalchemy as sa
from alembic import op

revision = "8a4e9d03c6f2"
down_revision = "1f0c5d2a7b31"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "book",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=100), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["author_id"], ["author.id"]),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade() -> None:
    op.drop_table("book")
