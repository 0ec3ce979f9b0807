"""The revisions read from their files: what Alembic would say of them, or nothing."""

import ast
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dbtasks import bytecode
from dbtasks.migrations.history import reader
from dbtasks.migrations.history.reader import find_heads, read_files

DOCSTRINGS = (
    "",
    '"""Add a table\n\nRevision ID: abc\nRevises: def\n"""\n',
    '"""What it was:\n\nrevision = "fake"\ndown_revision = "fake"\n"""\n',
    "'''Said \"revision\"\nbranch_labels = (\"fake\",)\n'''\n",
    'r"""A path: \\d\nrevision = "fake"\n"""\n',
    '# revision = "fake"\n"""Äpfel"""  # and more\n',
    "# -*- coding: utf-8 -*-\n",
    "from typing import Sequence, Union\n\nfrom alembic import op\nimport sqlalchemy as sa\n",
    "from typing import (\n    Sequence,\n    Union,\n)\n",
)
BODIES = (
    "",
    "def upgrade():\n    pass\n",
    'def upgrade() -> None:\n    """Upgrade."""\n    revision = "local"\n    print(revision)\n',
    'def upgrade():\n    run("""\nrevision = "fake"\n""")\n',
    'def upgrade():\n    run("""\nrevision = "fake"\n    """)\n',
    "def upgrade(\n    one=None,\n):\n    pass\n",
    'class Kind:\n    revision = "inner"\n',
    'AFTER = ["revision", "x"]\n',
)


def literal(values: tuple[str, ...], style: int) -> str:
    """Write values as people and Alembic do: alone, in a tuple or a list, on several lines."""
    if not values:
        return ("None", "()", "None  # nothing")[style % 3]
    if len(values) == 1 and style % 2:
        return (repr(values[0]), f'"{values[0]}"  # one')[style // 2 % 2]
    items = ", ".join(f'"{one}"' for one in values)
    lines = "".join(f'    "{one}",\n' for one in values)
    return (f"({items},)", f"[{items}]", f"(\n{lines})", f"( {items} , )")[style % 4]


@dataclass(frozen=True)
class Written:
    """Hold a revision and how its file is written."""

    id: str
    parents: tuple[str, ...]
    labels: tuple[str, ...]
    depends_on: tuple[str, ...]
    docstring: str
    body: str
    style: int
    newline: str

    def text(self) -> str:
        """Return the file."""
        kind = "Union[str, Sequence[str], None]"
        mark = (": str | None ", f": {kind} ", "")[self.style % 3] if not self.style % 2 else " "
        known = "from typing import Sequence, Union\n\n"
        lines = [
            f'revision{mark.replace(kind, "str")}= "{self.id}"',
            f"down_revision{mark}= {literal(self.parents, self.style)}",
            f"branch_labels{mark}= {literal(self.labels, self.style)}",
            f"depends_on{mark}= {literal(self.depends_on, self.style)}",
        ]
        if not self.labels and not self.depends_on and self.style % 5 == 0:
            del lines[2:]
        named = "\n".join(lines)
        return f"{self.docstring}{known}{named}\n\n\n{self.body}".replace("\n", self.newline)


@st.composite
def trees(draw: st.DrawFn) -> list[Written]:
    """Draw a graph: branches, merges, several bases, labels, and dependencies by id or label."""
    made: list[Written] = []
    names: list[str] = []
    for number in range(draw(st.integers(1, 7))):
        ids = [one.id for one in made]
        some = st.lists(st.sampled_from(ids), max_size=3, unique=True) if ids else st.just([])
        others = st.lists(st.sampled_from(names), max_size=2, unique=True) if names else st.just([])
        labels = (f"label{number}", f"name{number}")[: draw(st.integers(0, 2))]
        made.append(
            Written(
                id=f"{number:04}_rev",
                parents=tuple(draw(some)),
                labels=labels,
                depends_on=tuple(draw(others)),
                docstring=draw(st.sampled_from(DOCSTRINGS)),
                body=draw(st.sampled_from(BODIES)),
                style=draw(st.integers(0, 29)),
                newline=draw(st.sampled_from(("\n", "\r\n"))),
            )
        )
        names += [made[-1].id, *labels]
    return made


def tupled(value: str | tuple[str, ...] | list[str] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def asked(folder: Path) -> dict[str, tuple[object, ...]]:
    """Return what Alembic says of the files in a folder."""
    scripts = ScriptDirectory(str(folder), version_locations=[str(folder)])
    with bytecode.current(folder.glob("*.py")):
        return {
            one.revision: (
                tupled(one.down_revision),
                set(one._orig_branch_labels),
                tupled(one.dependencies),
            )
            for one in scripts._load_revisions()
        }


def read(folder: Path) -> dict[str, tuple[object, ...]] | None:
    found = read_files([folder])
    if found is None:
        return None
    return {one.id: (one.parents, set(one.labels), one.depends_on) for one in found}


@given(trees())
@settings(deadline=None, max_examples=150)
def test_reads_what_alembic_reads(tree: list[Written]) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        for one in tree:
            (folder / f"{one.id}.py").write_text(one.text(), encoding="utf-8", newline="")
        assert read(folder) == asked(folder)
        scripts = ScriptDirectory(name, version_locations=[name])
        found = read_files([folder])
        assert found is not None
        assert find_heads(found) == set(scripts.revision_map._real_heads)


PLAIN = 'revision = "plain"\ndown_revision = None\n'

# Each is whole lines of a module; some give the names another value, and some only look so.
TRICKS = (
    'revision = "other"\n',
    'down_revision = ("a", "b")\n',
    'down_revision = (\n    "a",  # first\n    "b",\n)\n',
    'down_revision = ["a"] + ["b"]\n',
    'revision = "oth" "er"\n',
    'revision = "x"; down_revision = "y"\n',
    'revision = f"o{1}"\n',
    "revision = '''other'''\n",
    'revision = "o\\x74her"\n',
    'revision: "str" = "other"\n',
    "revision: str\n",
    'revision = note = "other"\n',
    '(revision) = "other"\n',
    'revision, note = "other", 1\n',
    'revision = \\\n"other"\n',
    'revision += "more"\n',
    "down_revision = revision\n",
    "down_revision = str(revision)\n",
    "branch_labels = {'one'}\n",
    "branch_labels = 'one',\n",
    "depends_on = ['one', None]\n",
    "del revision\n",
    '\N{FULLWIDTH LATIN SMALL LETTER R}evision = "other"\n',
    '\frevision = "other"\n',
    'if True:\n    revision = "other"\n',
    'if 1: revision = "other"\n',
    "for revision in ('x', 'y'):\n    pass\n",
    "try:\n    import nothing_of_the_kind\nexcept ImportError:\n    down_revision = 'other'\n",
    "with open(__file__) as revision:\n    revision = 'other'\n",
    "match 'other':\n    case revision:\n        pass\n",
    'note = (revision := "other")\n',
    'def note(x=(revision := "other")):\n    pass\n',
    'def note(\n    x=(revision := "other"),\n):\n    pass\n',
    '@(lambda f: "other")\ndef revision():\n    pass\n',
    "class down_revision:\n    pass\n",
    "import os as revision\n",
    "from os.path import sep as down_revision\n",
    "from this_revision import *\n",
    'globals()["revision"] = "other"\n',
    "exec(\"revision = 'other'\")\n",
    'def note():\n    global revision\n    revision = "other"\nnote()\n',
    'def note():\n    global revision\n    revision = "other"\nvalue = note()\n',
    'def note(f):\n    globals()["revision"] = "other"\n@note\ndef f():\n    pass\n',
    'def __getattr__(name):\n    return "other"\n',
    '"""\nrevision = "other"\n"""\n',
    '"""x"""; revision = "other"\n',
    '"""\\"""\nrevision = "other"\n"""\n# """\n',
    "def down_revision():\n    pass\n",
    '"""\n"""; revision = "other"\n',
    'note = """\nrevision = "other"\n"""\n',
    'note = """\n    """; revision = "other"\n',
    'def f():\n    """\n    """; revision = "local"\n',
    'def f(): pass; revision = "local"\n',
    'def f():\n    g("""\nrevision = "other"\n    """)\n',
    "def f():\n    g('''\ndef x(): '''); revision = 'local'\n",
    'def f():\n    g(\n1\n); revision = "local"\n',
    "def f():\n    return [\n1,\n]\n",
    'class Kind:\n    revision = "inner"\n',
    'class Kind:\n    global revision\n    revision = "other"\n',
    '[revision for revision in "xy"]\n',
    'note = [revision for revision in "xy"]\n',
    "# -*- coding: latin-1 -*-\nrevision = '\N{LATIN SMALL LETTER E WITH ACUTE}'\n",
    "# vim: set fileencoding=utf-8 :\n",
    "\N{ZERO WIDTH NO-BREAK SPACE}revision = 'other'\n",
)


@given(
    st.lists(st.sampled_from(TRICKS), max_size=3),
    st.lists(st.sampled_from(TRICKS), max_size=2),
    st.sampled_from(("\n", "\r\n", "\r")),
)
@example([], ['globals()["revision"] = "other"\n'], "\n")
@settings(deadline=None, max_examples=500)
def test_never_says_other_than_alembic(before: list[str], after: list[str], newline: str) -> None:
    with TemporaryDirectory() as name:
        text = "".join((*before, PLAIN, *after)).replace("\n", newline)
        Path(name, "one.py").write_text(text, encoding="utf-8", newline="")
        agrees(Path(name))


@pytest.mark.parametrize("trick", TRICKS)
def test_is_not_tricked(trick: str, tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(PLAIN + trick, encoding="utf-8", newline="")
    (tmp_path / "two.py").write_text(trick + PLAIN, encoding="utf-8", newline="")
    for name in ("one.py", "two.py"):
        (tmp_path / name).rename(tmp_path / "now.py")
        agrees(tmp_path)
        (tmp_path / "now.py").rename(tmp_path / "done.txt")


def test_reads_in_the_encoding_of_the_file(tmp_path: Path) -> None:
    text = "# -*- coding: latin-1 -*-\nrevision = '\xe9'\ndown_revision = None\n"
    for coding, revision in (("latin-1", "\xc3\xa9"), ("utf-8", "\xe9")):
        text = text.replace("latin-1", coding)
        (tmp_path / f"{coding}.py").write_text(text, encoding="utf-8")
        assert read(tmp_path) == {revision: ((), set(), ())} == asked(tmp_path)
        (tmp_path / f"{coding}.py").unlink()


def agrees(folder: Path) -> None:
    found = read(folder)
    if found is None:
        return
    try:
        theirs = asked(folder)
    except (SyntaxError, CommandError):  # what does not run is Alembic's to say
        return
    assert found == theirs


@pytest.mark.parametrize(
    "trick",
    [
        '"""\nrevision = "other"\n"""\n',
        'note = """\nrevision = "other"\n"""\n',
        'class Kind:\n    revision = "inner"\n',
        'def f():\n    g("""\nrevision = "other"\n    """)\n',
        "table = sa.table('x', sa.column('y'))\n",
        "# vim: set fileencoding=utf-8 :\n",
        "from os import (\n    path,\n    sep,\n)\n",
    ],
)
def test_sees_through_what_only_looks_odd(trick: str, tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(trick + PLAIN)
    assert read(tmp_path) == {"plain": ((), set(), ())}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ab12.py", "down_revision = None\n"),
        ("one.py", 'revision = "one"\n'),
        ("one.py", "revision = None\ndown_revision = None\n"),
        ("one.py", 'revision = ("one",)\ndown_revision = None\n'),
        ("one.py", PLAIN + "<<<<<<< HEAD\n"),
        ("one.py", PLAIN + "\0"),
    ],
)
def test_knows_nothing_of_what_is_not_plain(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert read_files([tmp_path]) is None


@pytest.mark.parametrize("recursive", [False, True])
def test_takes_the_files_that_alembic_takes(recursive: bool, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    names = ["a.py", "sub/b.py", "sub/deep/c.py", "sub/__pycache__/d.py", "x.py/e.py"]
    other = ["__init__.py", "__init__x.py", ".#f.py", "g.pyc", "h.txt", "i.py.orig", ".j.py"]
    for number, name in enumerate([*(here / n for n in names + other), there / "k.py"]):
        name.parent.mkdir(parents=True, exist_ok=True)
        name.write_text(f'revision = "rev{number}"\ndown_revision = None\n')
    folders = [here, there, there, tmp_path / "missing"]
    (tmp_path / "again").symlink_to(there)
    folders.append(tmp_path / "again")
    scripts = ScriptDirectory(
        str(tmp_path),
        version_locations=[str(one) for one in dict.fromkeys(folders[:2])],
        recursive_version_locations=recursive,
    )
    found = read_files(folders, recursive=recursive)
    assert found is not None
    assert sorted(one.path for one in found) == sorted(
        one.path for one in scripts._load_revisions()
    )


def test_a_link_is_left_to_alembic(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text(PLAIN)
    (tmp_path / "one.py").symlink_to(tmp_path / "one.txt")
    assert read_files([tmp_path]) is None


def test_finds_two_files_with_one_id(tmp_path: Path) -> None:
    for name in ("a.py", "b.py", "c.py"):
        revision = "same" if name != "c.py" else "other"
        (tmp_path / name).write_text(f'revision = "{revision}"\ndown_revision = None\n')
    found = read_files([tmp_path])
    assert found is not None
    assert find_heads(found) is None


@pytest.mark.parametrize(
    "lines",
    [
        'revision = "a"\ndown_revision = "missing"',
        'revision = "a"\ndown_revision = "a"',
        'revision = "a"\ndown_revision = ""',
        'revision = "a-b"\ndown_revision = None',
        'revision = ""\ndown_revision = None',
        'revision = "a"\ndown_revision = None\ndepends_on = "missing"',
        'revision = "a"\ndown_revision = None\nbranch_labels = "a"',
        'revision = "a"\ndown_revision = None\nbranch_labels = ("x", "x")',
        'revision = "a"\ndown_revision = None\nbranch_labels = "x"\ndepends_on = "x"',
        'revision = "a"\ndown_revision = "b"',
    ],
)
def test_a_graph_that_does_not_hold_together_has_no_heads(lines: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(lines + "\n")
    if '"b"' in lines:
        (tmp_path / "b.py").write_text('revision = "b"\ndown_revision = None\ndepends_on = "a"\n')
    found = read_files([tmp_path])
    assert found is not None
    assert find_heads(found) is None


def test_imports_nothing_that_takes_time() -> None:
    """A command that has nothing to apply is quick, as it imports no more than this."""
    for node in ast.walk(ast.parse(Path(reader.__file__).read_text())):
        if isinstance(node, ast.ImportFrom | ast.Import):
            names = (
                [node.module] if isinstance(node, ast.ImportFrom) else [n.name for n in node.names]
            )
            for name in names:
                assert (
                    name == "dbtasks.settings" or str(name).split(".")[0] in sys.stdlib_module_names
                )
