"""The application of a project (`app=`): made once, and its context entered."""

import sys
from collections.abc import Callable
from inspect import signature
from typing import Any

from dbtasks.references import load, project_raised

ENTERED: list[Any] = []
"""The applications whose context was entered here; it is left as the process ends."""


def enter(reference: str) -> None:
    """Enter the context of the application that is referred to, or that its factory makes.

    Where the caller is in the context of an application, as `flask db` is, that is used.

    Raises UsageError when the project's code raised.
    """
    if _is_entered():
        return
    application = load(reference, "app")
    if callable(application) and not hasattr(application, "app_context"):
        application = _made_by(application, reference)
    if hasattr(application, "app_context"):
        ENTERED.append(application)
        application.app_context().push()


def _is_entered() -> bool:
    """Whether the caller, and not a project, has entered the context of a Flask application."""
    flask = sys.modules.get("flask")
    if flask is None or not flask.has_app_context():
        return False
    current = flask.current_app._get_current_object()
    return not any(application is current for application in ENTERED)


def _made_by(factory: Callable[[], Any], reference: str) -> Any:
    try:
        return factory()
    except Exception as error:
        raised = project_raised(f"app={reference!r}", error, function=factory)
        if isinstance(error, TypeError) and _needs_arguments(factory):
            raised.hint = "name a function that needs no arguments, or the application itself"
        raise raised from error


def _needs_arguments(function: Callable[..., Any]) -> bool:
    try:
        signature(function).bind()
    except (TypeError, ValueError):
        return True
    return False
