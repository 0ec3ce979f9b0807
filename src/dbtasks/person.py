"""Who runs a command: the user, the machine and the process, as a journal or a lock names them."""

import getpass
import os
import platform


def user() -> str:
    """Return the name of the operating system's user."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user may have no name
        return "unknown"


def host() -> str:
    """Return the machine's name."""
    return platform.node()


def process() -> str:
    """Return the machine and the process."""
    return f"{host()}:{os.getpid()}"


def describe() -> str:
    """Return user, machine and process."""
    return f"{user()}@{process()}"
