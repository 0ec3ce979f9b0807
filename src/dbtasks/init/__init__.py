"""Start a project, or adopt one: the files that a project needs for dbtasks, and what was found."""

from dbtasks.init.adoption import adopt, has_project
from dbtasks.init.plan import File, Note, Plan
from dbtasks.init.starting import EXTRAS, start

__all__ = ["EXTRAS", "File", "Note", "Plan", "adopt", "has_project", "start"]
