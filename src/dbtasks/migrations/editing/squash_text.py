"""The file of a squash."""

import json
import sys
from collections.abc import Collection
from dataclasses import dataclass

from alembic.util import to_tuple

from dbtasks.migrations.autogenerate.layout import WIDTH
from dbtasks.migrations.history.source_edit import INDENT, Code
from dbtasks.migrations.history.template import docstring

IMPORTS = ("import sqlalchemy as sa", "from alembic import op")


@dataclass(frozen=True)
class Head:
    """Hold what a squash says of its place in the history."""

    revision: str
    down_revision: str | tuple[str, ...] | None
    branch_labels: tuple[str, ...] | None
    depends_on: tuple[str, ...] | None
    replaces: list[str]


def write(head: Head, message: str, upgrade: Code, downgrade: Code) -> str:
    """Return the text of a revision that does what several did."""
    after = f"After: {', '.join(to_tuple(head.down_revision, default=()))}".rstrip()
    parts = [
        docstring(f"{message}\n\nRevision: {head.revision}\n{after}\n"),
        _imports({*IMPORTS, *upgrade.imports, *downgrade.imports}),
        "\n".join(_assignment(*pair) for pair in vars(head).items()),
        *(
            f"\ndef {name}() -> None:\n{INDENT}{code.text or 'pass'}"
            for name, code in (("upgrade", upgrade), ("downgrade", downgrade))
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _imports(lines: Collection[str]) -> str:
    """Return imports, those of Python itself first, each group in the order of ruff."""
    own = [line for line in lines if line.split()[1].partition(".")[0] in sys.stdlib_module_names]
    groups = (sorted(own), sorted({*lines} - {*own}, key=lambda line: line.split()[::-1][0]))
    ordered = (sorted(group, key=lambda line: line.startswith("from")) for group in groups if group)
    return "\n\n".join("\n".join(group) for group in ordered)


def _assignment(name: str, value: object) -> str:
    flat = f"{name} = {_literal(value)}"
    if len(flat) <= WIDTH or not isinstance(value, list | tuple):
        return flat
    begin, end = ("[", "]") if isinstance(value, list) else ("(", ")")
    lines = "".join(f"{INDENT}{_literal(item)},\n" for item in value)
    return f"{name} = {begin}\n{lines}{end}"


def _literal(value: object) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(_literal, value))}{',' if len(value) == 1 else ''})"
    return repr(value)
