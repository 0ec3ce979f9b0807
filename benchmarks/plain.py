"""A script as one writes it without dbtasks: all employees, by SQLAlchemy Core and json or csv."""

import csv
import json
import sys

from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, select

BATCH = 1000
EMPLOYEE = Table(
    "employee",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("name", String(100)),
    Column("dept_id", Integer),
)


def main(format_: str, url: str) -> None:
    """Write all employees to stdout, one a line, in the order of their key."""
    engine = create_engine(url)
    with engine.connect().execution_options(yield_per=BATCH) as connection:
        rows = connection.execute(select(EMPLOYEE).order_by(EMPLOYEE.c.id))
        if format_ == "csv":
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(rows.keys())
            writer.writerows(rows)
        else:
            names = tuple(rows.keys())
            for row in rows:  # row._asdict() would take twice as long
                values = dict(zip(names, row, strict=True))
                sys.stdout.write(json.dumps(values, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
