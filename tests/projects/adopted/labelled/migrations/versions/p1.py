"""p1"""

import sqlalchemy as sa
from alembic import op

revision = "p1"
down_revision = None
branch_labels = ("posts",)
depends_on = None


def upgrade():
    op.create_table("post", sa.Column("id", sa.Integer(), primary_key=True))


def downgrade():
    op.drop_table("post")
