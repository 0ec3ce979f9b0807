"""A project that `alembic init alembic` began, and nobody changed for dbtasks."""

from dbtasks import collection

ns = collection(metadata="models:Base")
