"""The project itself."""

import os
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING

from invoke.exceptions import Exit

from dbtasks.errors import UsageError
from dbtasks.tasks.edge import command
from dbtasks.tasks.options import choice
from dbtasks.tasks.run import Run

if TYPE_CHECKING:
    from dbtasks.init import Plan


@command(connects=False)
def test(run: Run) -> None:
    """Run the project's tests with pytest, which gets what follows --."""
    if find_spec("pytest") is None:
        raise UsageError("pytest is not installed", hint="pip install pytest")
    line = ["-m", "pytest", *_remainder(run.remainder)]
    if run.dry_run:
        run.output.line(shlex.join(["python", *line]))
        return
    run.output.flush()
    environment = {"DBTASKS_ENV": "test", **os.environ}
    done = subprocess.run([sys.executable, *line], cwd=run.binding.root, env=environment)
    if done.returncode:
        raise Exit(code=done.returncode)


def _remainder(text: str) -> list[str]:
    """Return what stands after --, from the process's own arguments: Invoke loses the quotes."""
    if "--" in sys.argv:
        arguments = sys.argv[sys.argv.index("--") + 1 :]
        if " ".join(arguments) == text:
            return arguments
    return shlex.split(text)


@command(connects=False, previews=True)
def init(
    run: Run, name: str | None = None, database: str | None = None, empty: bool = False
) -> None:
    """Start a project, or write a tasks.py for the one in this folder; overwrite nothing."""
    from dbtasks.init import EXTRAS, adopt, has_project, start

    kind = choice(database, "--database", EXTRAS)
    here = Path.cwd()
    folder = here if name in (None, ".") else here / str(name)
    if folder.is_dir() and has_project(folder):
        plan = adopt(folder)
    else:
        plan = start(folder, folder.name, database=kind, empty=empty)
    _write(run, plan)
    for prefix in () if run.dry_run else plan.histories:
        _check_history(run, plan, f"{prefix}makemigrations")
    commands = " ".join(plan.next_commands)
    enter = "" if folder == here else f"cd {shlex.quote(str(name))} && "
    run.output.line(f"Next: {enter}dbtasks {commands}")


def _write(run: Run, plan: "Plan") -> None:
    """Say what was found, and what is written and left; write it unless it is a dry run."""
    for note in plan.notes:
        run.output.line(f"Found {note.text}" + (f"\n  {note.line}" if note.line else ""))
    existing = [file for file in plan.files if file.exists]
    for file in existing:
        run.output.line(f"Exists: {os.path.relpath(file.path, plan.folder)}")
        if file.path.name == "tasks.py":
            run.output.line("  with this it would work:\n" + indent(file.text, "    "))
    for file in plan.missing if run.dry_run else plan.write():
        verb = "Would write" if run.dry_run else "Wrote"
        run.output.line(f"{verb} {os.path.relpath(file.path, plan.folder)}")


def _check_history(run: Run, plan: "Plan", command: str) -> None:
    """Say whether a history replays from empty, and what the models have beyond it."""
    run.output.flush()
    line = [sys.executable, "-m", "dbtasks", command, "--check"]
    done = subprocess.run(line, cwd=plan.folder, capture_output=True, text=True)
    told = f"{done.stdout}{done.stderr}".strip()
    run.output.line(f"{command} --check:\n" + indent(run.scrub(told), "  "))


COMMANDS = (init, test)
