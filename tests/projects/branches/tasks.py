"""Two labelled branches, one of them in a folder for each kind of database."""

from dbtasks import collection

ns = collection(alembic="pyproject.toml", default_url="sqlite:///shop.db")
