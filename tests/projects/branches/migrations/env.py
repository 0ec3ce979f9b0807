from pathlib import Path

from alembic import context
from sqlalchemy import create_engine

VERSIONS = Path(__file__).parent / "versions"
URL = "sqlite:///" + str(Path(__file__).parent / "developer.db")


def migrate() -> None:
    dialect = context.get_context().dialect.name
    context.script.version_locations = [VERSIONS / "common", VERSIONS / dialect]
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    url = context.config.get_main_option("sqlalchemy.url", URL)
    context.configure(url=url, version_table="shop_version")
    migrate()
else:
    engine = create_engine(context.config.get_main_option("sqlalchemy.url", URL))
    with engine.begin() as connection:
        context.configure(connection=connection, version_table="shop_version")
        migrate()
