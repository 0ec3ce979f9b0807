"""A script as one writes it without dbtasks: all employees, by SQLAlchemy Core and json or csv."""

import csv
import json
import sys

from company.models import Employee
from sqlalchemy import create_engine, select

BATCH = 1000


def main(format_: str, url: str) -> None:
    """Write all employees to stdout, one a line, in the order of their key."""
    columns = (Employee.id, Employee.name, Employee.dept_id)
    engine = create_engine(url)
    with engine.connect().execution_options(yield_per=BATCH) as connection:
        rows = connection.execute(select(*columns).order_by(Employee.id))
        if format_ == "csv":
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(rows.keys())
            writer.writerows(rows)
        else:
            for row in rows:
                sys.stdout.write(json.dumps(row._asdict(), ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
