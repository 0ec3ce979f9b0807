"""Tables of SQLite at random, with all that a CREATE TABLE can say."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

PLAIN = [*"abcd", "key", "action", "Straße", "a$1", "generated", "always", "without", "strict"]
ODD = ["a b", "check", "x)y", "a,b", "--c", "primary", "/*d", 'q"r', "s'", "UNIQUE", "t`u", "on"]
EXPRESSIONS = [
    *("1", "(1 > 0)", "')' <> '('", "1 /* ) */ + 2", "'it''s'", "x'41'", "1 IN (1, 2)"),
    *("CASE WHEN 1 THEN ')' END", "-1", "\n1 -- (\n"),
]
TYPES = [
    *("", "INT", "INTEGER", "VARCHAR(10)", "NUMERIC (10, 2)", "double precision", '"odd type"'),
    *("[x y]", "generated", "strict text", "DECIMAL(-1,+2)"),
]
CONFLICTS = ["ROLLBACK", "ABORT", "FAIL", "IGNORE", "REPLACE"]
ACTIONS = ["CASCADE", "RESTRICT", "SET NULL", "SET  DEFAULT", "NO ACTION"]
COLLATIONS = ["NOCASE", "rtrim", '"binary"']
BLANKS = [" ", "\n", "\t ", " -- ( , )\n", " /* ) */ "]

CURRENT, QUOTED = "current_timestamp", "'a '' b'"

TABLE = "CREATE TABLE parent (id INTEGER PRIMARY KEY, a, b, UNIQUE (a, b))"


@dataclass
class Draw:
    """Write a statement, piece by piece."""

    data: st.DataObject

    def one(self, values: Sequence[Any]) -> Any:
        return self.data.draw(st.sampled_from(values))

    def maybe(self, text: str) -> str:
        return text if self.data.draw(st.booleans()) else ""

    def quoted(self, name: str) -> str:
        ways = ["".join(['"', name.replace('"', '""'), '"']), f"`{name.replace('`', '``')}`"]
        ways += [f"[{name}]"] + ([name] if name in PLAIN else [])
        return str(self.one(ways))

    def conflict(self) -> str:
        return self.maybe(f" ON CONFLICT {self.one(CONFLICTS)}")

    def label(self) -> str:
        return self.maybe(f"CONSTRAINT {self.quoted(self.one([*PLAIN, *ODD]))} ")

    def reference(self, columns: int) -> str:
        referred = "(id)" if columns == 1 else "(a, b)"
        clauses = [
            f" ON DELETE {self.one(ACTIONS)}",
            f" ON UPDATE {self.one(ACTIONS)}",
            " MATCH FULL",
        ]
        after = "".join(map(self.maybe, clauses))
        later = self.maybe(f"{self.maybe(' NOT')} DEFERRABLE{self.maybe(' INITIALLY DEFERRED')}")
        return f"REFERENCES {self.quoted('parent')} {referred}{after}{later}"

    def parts(self, names: Sequence[str]) -> str:
        def part(name: str) -> str:
            collation = self.maybe(f" COLLATE {self.one(COLLATIONS)}")
            return f"{self.quoted(name)}{collation}{self.one(['', ' ASC', ' DESC'])}"

        return ", ".join(map(part, names))

    def column(self, name: str, *, strict: bool) -> str:
        kind = self.one(["INT", "TEXT", "ANY"] if strict else TYPES)
        constraints = [
            f"NOT NULL{self.conflict()}",
            "NULL",
            f"UNIQUE{self.conflict()}",
            f"CHECK ({self.one(EXPRESSIONS)})",
            f"CHECK({self.one(EXPRESSIONS)})",
            f"DEFAULT {self.one(['1', '-2', '+ 3.5', 'NULL', CURRENT, '(1 + (2))', QUOTED])}",
            f"COLLATE {self.one(COLLATIONS)}",
            self.reference(1),
        ]
        chosen = self.data.draw(st.lists(st.sampled_from(constraints), unique=True, max_size=4))
        if self.data.draw(st.integers(0, 4)) == 0:
            chosen = [one for one in chosen if not one.startswith(("DEFAULT", "REFERENCES"))]
            words = self.one(["AS", "GENERATED ALWAYS AS"])
            chosen.append(
                f"{words} ({self.one(EXPRESSIONS)}){self.one(['', ' STORED', ' VIRTUAL'])}"
            )
        parts = [self.quoted(name), kind, *(f"{self.label()}{one}" for one in chosen)]
        return str(self.one(BLANKS)).join(part for part in parts if part)

    def beside(self, names: Sequence[str]) -> str:
        chosen = self.data.draw(
            st.lists(st.sampled_from(names), unique=True, min_size=1, max_size=2)
        )
        own = ", ".join(map(self.quoted, chosen))
        kinds = [
            f"UNIQUE ({self.parts(chosen)}){self.conflict()}",
            f"CHECK ({self.one(EXPRESSIONS)}){self.conflict()}",
            f"FOREIGN KEY ({own}) {self.reference(len(chosen))}",
        ]
        return f"{self.label()}{self.one(kinds)}"

    def statement(self) -> str:
        names = st.lists(
            st.sampled_from([*PLAIN, *ODD]), unique_by=str.lower, min_size=1, max_size=4
        )
        chosen = [*self.data.draw(names), "plain"]
        options = self.one([[], ["STRICT"], ["WITHOUT ROWID"], ["strict", "without  rowid"]])
        columns = [self.column(one, strict="STRICT" in map(str.upper, options)) for one in chosen]
        keys = [f"{self.label()}PRIMARY KEY ({self.parts(['plain'])}){self.conflict()}"]
        if not options:
            number = self.quoted("number")
            keys.append("")
            columns.append(
                f"{number} INTEGER PRIMARY KEY{self.conflict()}{self.maybe(' AUTOINCREMENT')}"
            )
            keys = [""]
        beside = [self.beside(["plain", *chosen[:1]]) for _ in range(self.one([0, 0, 1, 2]))]
        body = [*columns, *filter(None, keys), *beside]
        head = f"CREATE {self.maybe('TEMP ')}TABLE {self.maybe('IF NOT EXISTS ')}"
        blank = self.one(BLANKS)
        return f"{head}{self.quoted('t x')}{blank}({f',{blank}'.join(body)}){','.join(options)}"
