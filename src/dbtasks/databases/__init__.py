"""Databases as a whole: is it there, what is in it, where does it belong."""

from dbtasks.databases.protect import Protection, protect
from dbtasks.databases.wait import Answer, waitdb

__all__ = ["Answer", "Protection", "protect", "waitdb"]
