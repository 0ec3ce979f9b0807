"""Databases as a whole: is it there, what is in it."""

from dbtasks.databases.wait import Answer, waitdb

__all__ = ["Answer", "waitdb"]
