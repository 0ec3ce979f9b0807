"""Commands that are killed at a statement, by its number or its words; `syscalls` has the rest."""

from collections.abc import Mapping
from pathlib import Path

import warm

KILLED = -9

KILLER = '''"""Kill this process at a point that is told by its number, or by its statement."""

import atexit
import os
import signal

from sqlalchemy import Engine, event

points = 0
armed = False
at = int(os.environ.get("KILL_AT", 0))
when, _, words = os.environ.get("KILL_ON", "").partition(" ")


def pass_point(name, sent):
    global points, armed
    points += 1
    told = words and name == "before" and any(words in one for one in sent if isinstance(one, str))
    if points == at or armed or (told and when == "before"):
        os.kill(os.getpid(), signal.SIGKILL)
    armed = told


def watch(target, name):
    event.listen(Engine, target, lambda *sent: pass_point(name, sent))


for target in ("do_execute", "do_executemany", "do_execute_no_params"):
    watch(target, "before")
watch("after_cursor_execute", "after")
watch("commit", "commit")
atexit.register(lambda: print(f"points: {points}"))
'''
"""A point is before and after each statement, those of locks and journal too, and before COMMIT."""

SWITCH = """import os
import sys

sys.path.insert(0, "src")
if {"KILL_AT", "KILL_ON"} & {*os.environ}:
    import killer

"""


def arm(root: Path) -> None:
    """Let every `inv` of the project be killed at the point that KILL_AT tells."""
    (root / "src" / "killer.py").write_text(KILLER, encoding="utf-8")
    tasks = root / "tasks.py"
    tasks.write_text(SWITCH + tasks.read_text(encoding="utf-8"), encoding="utf-8")


def kill_on(root: Path, url: str, environment: Mapping[str, str], when: str, words: str) -> None:
    """Run `inv migrate`, killed before or after the statement that has these words."""
    told = {**environment, "DATABASE_URL": url, "KILL_ON": f"{when} {words}"}
    done = warm.run("invoke", "migrate", cwd=root, env=told, timeout=120)
    assert done.returncode == KILLED, done.stderr
