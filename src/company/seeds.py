"""The rows that every copy of the company's database starts with."""

from sqlalchemy.orm import Session

from company.models import Department, Employee
from dbtasks import add_missing


def seed(session: Session) -> None:
    """Add the first department and its employees, unless they are there."""
    add_missing(
        session,
        [
            Department(id=1, name="Engineering"),
            Employee(id=1, name="Alice", dept_id=1),
            Employee(id=2, name="Bob", dept_id=1),
        ],
    )
