"""The environment of the tests: the same on every machine, whatever the user's shell has set."""

import locale
import os
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import pytest

KEPT = re.compile(r"PATH|HOME|TMPDIR|LD_LIBRARY_PATH|DYLD_.*|(PYTEST|DBTASKS_TEST|TEST)_.*")
"""The variables that the tests take over: where things are, and what is meant for the tests."""

FIXED = {"LANG": "C.UTF-8", "SSL_CERT_FILE": os.devnull, "TERM": "xterm", "TZ": "UTC"}
"""The variables that all tests see. PyMySQL would read all certificates for each connection."""

UMASK = 0o022

PYTEST = f"""
import sys, pytest
sys.path[:0] = {[str(Path(__file__).parents[1] / one) for one in ("tests", "src")]!r}
sys.exit(pytest.main(["-p", "conftest", *sys.argv[1:]]))
"""
"""A program that is pytest with these fixtures, for tests of the tests."""


def standard(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what changes Python, a library, dbtasks or the terminal."""
    return {name: value for name, value in environment.items() if KEPT.fullmatch(name)} | FIXED


def needs_restart(environment: Mapping[str, str]) -> bool:
    """Whether this Python has started with settings that no later change takes back.

    As PYTHONOPTIMIZE, which removes assertions, or a locale in which files are not UTF-8.
    """
    return any(name.startswith("PYTHON") for name in environment) or _encoding() != "utf-8"


def set_up() -> bool:
    """Make this process standard for itself and its children; return whether it has to restart."""
    restart = needs_restart(os.environ)
    wanted = standard(os.environ)
    os.environ.clear()
    os.environ.update(wanted)
    time.tzset()
    os.umask(UMASK)
    return restart


def restart(config: pytest.Config) -> NoReturn:
    """Start pytest again in the environment as it is now, with the same arguments."""
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is not None:
        capture.stop_global_capturing()  # it has put files in the place of stdout and stderr
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _encoding() -> str:
    return locale.getencoding().lower()
