"""staff

Revision: 0005_staff
After: 0001_department_employee
"""

import sqlalchemy as sa
from alembic import op

revision = "0005_staff"
down_revision = "0001_department_employee"
branch_labels = None
depends_on = None
replaces = ["0002_full_name", "0003_right", "0003_left", "0004_merge", "0005_staff"]


def upgrade() -> None:
    upgrade_0002_full_name()
    upgrade_0003_right()
    upgrade_0003_left()
    upgrade_0004_merge()
    upgrade_0005_staff()


def downgrade() -> None:
    downgrade_0005_staff()
    downgrade_0004_merge()
    downgrade_0003_left()
    downgrade_0003_right()
    downgrade_0002_full_name()


# -- 0002_full_name -------------------------------------------------------------------------------

def upgrade_0002_full_name():
    op.alter_column("employee", 'name', new_column_name='full_name', existing_type=sa.String(100))


def downgrade_0002_full_name():
    op.alter_column("employee", 'full_name', new_column_name='name', existing_type=sa.String(100))


# -- 0003_right -----------------------------------------------------------------------------------

def upgrade_0003_right():
    op.create_table("right", sa.Column("id", sa.Integer, primary_key=True))
    fill_0003_right(NAMES_0003_right)


def downgrade_0003_right():
    op.drop_table("right")
    op.execute("DELETE FROM department WHERE name = 'Legal'")


# The same name in two revisions.
NAMES_0003_right = ('Legal',)


def fill_0003_right(names):
    # each by itself
    for name in names:
        op.execute(sa.text("INSERT INTO department (name) VALUES (:name)").bindparams(name=name))


# -- 0003_left ------------------------------------------------------------------------------------

def upgrade_0003_left():
    op.create_table("left", sa.Column("id", sa.Integer, primary_key=True))
    fill_0003_left(NAMES_0003_left)


def downgrade_0003_left():
    op.drop_table("left")
    op.execute("DELETE FROM department WHERE name = 'Sales'")


# The same name in two revisions.
NAMES_0003_left = ('Sales',)


def fill_0003_left(names):
    # each by itself
    for name in names:
        op.execute(sa.text("INSERT INTO department (name) VALUES (:name)").bindparams(name=name))


# -- 0004_merge -----------------------------------------------------------------------------------

def upgrade_0004_merge():
    pass


def downgrade_0004_merge():
    pass


# -- 0005_staff -----------------------------------------------------------------------------------

def upgrade_0005_staff():
    op.rename_table("employee", "staff")
    op.execute("INSERT INTO staff (id, full_name, dept_id) SELECT 7, 'Zoe', min(id) "
        "FROM department")


def downgrade_0005_staff():
    op.execute("DELETE FROM staff WHERE id = 7")
    op.rename_table("staff", "employee")
