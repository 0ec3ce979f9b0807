import os

from sqlalchemy import create_engine
from sqlalchemy.orm import declarative_base

engine = create_engine(os.environ.get("APP_DATABASE_URL", "sqlite:///app.db"))
Base = declarative_base()


def create_tables():
    from app import models  # noqa: F401

    Base.metadata.create_all(engine)
