"""genre

Revision ID: d5537be1a0c4
Revises: 8a4e9d03c6f2
"""

import sqlalchemy as sa
from alembic import op

revision = "d5537be1a0c4"
down_revision = "8a4e9d03c6f2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("book", sa.Column("genre", sa.String(length=20)))


def downgrade() -> None:
    op.drop_column("book", "genre")
