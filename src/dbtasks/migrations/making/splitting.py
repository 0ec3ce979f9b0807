"""Checks that were read over their end: SQLAlchemy before 2.1 takes a line of SQLite for one."""

import re
from collections.abc import Iterator
from typing import Any

CHECK = re.compile(r"""(?:CONSTRAINT\s+("[^"]+"|\S+)\s+)?CHECK\s*\(""", re.IGNORECASE)
PART = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[()]""")


def split_checks(name: Any, sqltext: str) -> Iterator[dict[str, Any]]:
    """Yield the name and the text of each check that a text is of: `a > 0), b INT CHECK (b > 0`."""
    end = _end(sqltext)
    yield {"name": name, "sqltext": sqltext[:end].strip()}
    if following := CHECK.search(sqltext, end):
        own = following[1].strip('"') if following[1] else None
        yield from split_checks(own, sqltext[following.end() :])


def _end(sqltext: str) -> int:
    """Return where the parenthesis is closed that a text began behind."""
    depth = 0
    for part in PART.finditer(sqltext):
        depth += (part[0] == "(") - (part[0] == ")")
        if depth < 0:
            return part.start()
    return len(sqltext)
