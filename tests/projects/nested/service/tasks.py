"""A service whose migrations are in a folder beside it, with an asynchronous env.py."""

from dbtasks import collection

ns = collection(alembic="../database/alembic.ini")
