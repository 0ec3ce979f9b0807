"""author

Revision ID: 1f0c5d2a7b31
Revises:
"""

import sqlalchemy as sa
from alembic import op

revision = "1f0c5d2a7b31"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "author",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=50), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade() -> None:
    op.drop_table("author")
