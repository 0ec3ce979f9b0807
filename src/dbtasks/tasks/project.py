"""The project itself."""

import os
import shlex
import subprocess
import sys
from importlib.util import find_spec

from invoke.exceptions import Exit

from dbtasks.errors import UsageError
from dbtasks.tasks.edge import command
from dbtasks.tasks.run import Run


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


COMMANDS = (test,)
