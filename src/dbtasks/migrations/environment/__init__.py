"""Run env.py: the project's three lines, or anybody's own."""

from dbtasks.migrations.environment.body import run as run  # it is in users' env.py
