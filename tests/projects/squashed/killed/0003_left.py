"""left"""

import sqlalchemy as sa
from alembic import op

revision = "0003_left"
down_revision = '0002_full_name'


def upgrade():
    op.create_table("left", sa.Column("id", sa.Integer, primary_key=True))
    fill(NAMES)


def downgrade():
    op.drop_table("left")
    op.execute("DELETE FROM department WHERE name = 'Sales'")


# The same name in two revisions.
NAMES = ('Sales',)


def fill(names):
    # each by itself
    for name in names:
        op.execute(sa.text("INSERT INTO department (name) VALUES (:name)").bindparams(name=name))
