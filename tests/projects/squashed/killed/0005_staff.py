"""staff"""

import sqlalchemy as sa
from alembic import op

revision = "0005_staff"
down_revision = '0004_merge'


def upgrade():
    op.rename_table("employee", "staff")
    op.execute("INSERT INTO staff (id, full_name, dept_id) SELECT 7, 'Zoe', min(id) "
        "FROM department")


def downgrade():
    op.execute("DELETE FROM staff WHERE id = 7")
    op.rename_table("staff", "employee")
