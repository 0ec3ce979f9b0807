"""Why a value is refused, in words for a person."""


class Reason(ValueError):
    """Carry a reason that a person understands; other ValueErrors speak of Python.

    `hint` says what to write, where an example of the column's type does not.
    """

    hint: str | None = None


def require(condition: object, reason: str) -> None:
    """Raise Reason unless the condition holds."""
    if not condition:
        raise Reason(reason)
