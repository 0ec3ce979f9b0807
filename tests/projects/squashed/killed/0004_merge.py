"""merge"""

import sqlalchemy as sa
from alembic import op

revision = "0004_merge"
down_revision = ('0003_left', '0003_right')


def upgrade():
    pass


def downgrade():
    pass
