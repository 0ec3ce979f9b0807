"""What goes to stdout and stderr: lines, tables, JSON, CSV. The only printer; tasks/ only."""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from itertools import chain, islice
from pathlib import Path
from time import monotonic
from typing import IO, Any, BinaryIO, TextIO, cast

from dbtasks.cells import Row, cell_of, document_of, json_objects
from dbtasks.files import whole_file

FORMATS = ("text", "table", "json", "jsonl", "csv", "markdown")
TERMINAL_ROWS = 100
CHUNK = 1000

# What the csv module writes as `cell_of` does, and faster.
WRITTEN_ALIKE = frozenset((str, int, float, type(None)))

# Control characters, and those that turn the direction of writing around.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class Output:
    """Write results to stdout and notes to stderr.

    A pipe gets UTF-8 whatever the locale says; a terminal gets what it can show, and control
    characters in data are shown to it, not obeyed.
    """

    def __init__(self) -> None:
        self.stdout = _unbreakable(sys.stdout)
        self.stderr = _unbreakable(sys.stderr)

    @property
    def terminal(self) -> bool:
        """Whether a person reads stdout."""
        return self.stdout.isatty()

    @property
    def binary(self) -> IO[bytes]:
        """Return stdout for bytes."""
        return self.stdout.buffer

    def write(self, text: str) -> None:
        """Write a part of a line, to be seen at once."""
        self.stdout.write(text)
        self.stdout.flush()

    def line(self, text: str) -> None:
        """Write one line of the result."""
        self.stdout.write(f"{self._shown(text)}\n")

    def note(self, text: str) -> None:
        """Write a note beside the result, after what was written so far.

        It may hold values: a terminal shows their control characters, and does not obey them.
        """
        with suppress(OSError):  # an error of stdout is seen when it is written to
            self.stdout.flush()
        if self.stderr.isatty():
            text = "\n".join(_show_control(line) for line in text.split("\n"))
        with suppress(OSError):  # no stream is left on which to report it
            self.stderr.write(f"{text}\n")
            self.stderr.flush()

    def flush(self) -> None:
        """Hand over what is buffered, so that a full disk or a closed pipe is seen here."""
        self.stdout.flush()

    def abandon(self) -> None:
        """Discard what no longer can be written, so that the exit of the interpreter is quiet."""
        abandon(self.stdout, self.stderr)

    def lines(self, texts: Iterable[str], what: str = "record") -> None:
        """Write one line a record."""
        self._counted(texts, what, self._lines)

    def records(
        self, columns: Sequence[str], rows: Iterable[Row], format_: str, what: str = "record"
    ) -> None:
        """Write records in one of FORMATS; text is a table here."""
        writers: dict[str, Callable[[Sequence[str], Iterable[Row]], object]] = {
            "json": self._json,
            "jsonl": self._jsonl,
            "csv": self._csv,
            "markdown": self._markdown,
        }
        writer = writers.get(format_, self._table)
        self._counted(rows, what, lambda rest: writer(columns, rest))

    def pairs(self, pairs: Sequence[tuple[str, Any]]) -> None:
        """Write names and values, one pair a line."""
        width = max((len(name) for name, _ in pairs), default=0)
        for name, value in pairs:
            self.line(f"{name:<{width}}  {cell_of(value)}".rstrip())

    def changes(
        self,
        columns: Sequence[str],
        before: Sequence[Row],
        after: Sequence[Row],
    ) -> None:
        """Show on stderr what records were, and what has become of their columns."""
        for row, new in zip(before, after or [()] * len(before), strict=False):
            cells = [_show_control(cell_of(value)) for value in row]
            then = [_show_control(cell_of(value)) for value in new] or cells
            shown = (
                f"{name}={old}" + (f" → {now}" if old != now else "")
                for name, old, now in zip(columns, cells, then, strict=True)
            )
            self.note("  " + ", ".join(shown))

    @contextmanager
    def into(self, path: str | None) -> Iterator[None]:
        """Send results to a file in the block, as `files.whole_file` writes it."""
        if path is None:
            yield
            return
        before = self.stdout
        before.flush()  # the path may be another name of it
        with whole_file(Path(path)) as stream:
            self.stdout = TextIOWrapper(
                cast(BinaryIO, stream), "utf-8", "backslashreplace", newline=""
            )
            try:
                yield
                self.stdout.flush()
            finally:
                with suppress(OSError):  # the error of the block matters, or there was none
                    self.stdout.detach()
                self.stdout = before

    @contextmanager
    def progress(self) -> Iterator[Callable[[str, int, int], None] | None]:
        """Give what draws a bar for each table, with rate and time left, where a person sees it."""
        if not self.stderr.isatty():
            yield None
            return
        from rich.console import Console  # as in `_table`
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

        columns = (
            "{task.description}",
            BarColumn(),
            "{task.completed:,}",
            "{task.fields[rate]}",
            TaskProgressColumn(),
            TimeRemainingColumn(),
        )
        console = Console(file=self.stderr, no_color="NO_COLOR" in os.environ or None)
        with Progress(*columns, console=console, transient=True) as bar:
            tasks: dict[str, Any] = {}
            begun: dict[str, float] = {}
            latest = monotonic()

            def tell(name: str, done: int, total: int) -> None:
                nonlocal latest
                if name not in tasks:
                    tasks[name] = bar.add_task(name, total=total or None, rate="")
                    begun[name] = latest  # one table begins where the one before ended
                latest = monotonic()
                rate = done / max(latest - begun[name], 0.001)
                bar.update(tasks[name], completed=done, rate=f"{rate:,.0f} rows/s")

            yield tell

    def document(self, value: Any) -> None:
        """Write one JSON document."""
        for line in document_of(value).split("\n"):
            self.line(line)

    def _counted(self, rows: Iterable[Any], what: str, write: Callable[[Any], object]) -> None:
        """Write the rows, and their number to stderr: before them, where they are few.

        A terminal gets no more than a person reads.
        """
        remaining = iter(rows)
        first = list(islice(remaining, TERMINAL_ROWS))
        more = list(islice(remaining, 1))
        if not more:
            self.note(_count(len(first), what))
            write(first)
        elif self.terminal:
            write(first)
            self.note(f"stopped after {TERMINAL_ROWS}: --limit, or a pipe, gives another number")
        else:
            counter = _Counter(chain(first, more, remaining))
            write(counter)
            self.note(_count(counter.count, what))

    def _lines(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.line(text)

    def _shown(self, text: str) -> str:
        return _show_control(text) if self.terminal else text

    def _json_objects(self, columns: Sequence[str]) -> Callable[[Row], str]:
        encode = json_objects(columns)
        return (lambda row: _show_control(encode(row))) if self.terminal else encode

    def _jsonl(self, columns: Sequence[str], rows: Iterable[Row]) -> None:
        encode = self._json_objects(columns)
        self.stdout.writelines(f"{encode(row)}\n" for row in rows)

    def _json(self, columns: Sequence[str], rows: Iterable[Row]) -> None:
        encode = self._json_objects(columns)
        mark = "["
        for row in rows:
            self.stdout.write(f"{mark}\n  {encode(row)}")
            mark = ","
        self.stdout.write("[]\n" if mark == "[" else "\n]\n")

    def _csv(self, columns: Sequence[str], rows: Iterable[Row]) -> None:
        import csv  # as base64 below: the other formats do without

        writer = csv.writer(self.stdout, lineterminator="\n")
        writer.writerow(columns)
        remaining = iter(rows)
        while chunk := list(islice(remaining, CHUNK)):
            if self.terminal:
                writer.writerows([_show_control(cell_of(value)) for value in row] for row in chunk)
            elif WRITTEN_ALIKE.issuperset(map(type, chain.from_iterable(chunk))):
                writer.writerows(chunk)
            else:
                writer.writerows([cell_of(value) for value in row] for row in chunk)

    def _markdown(self, columns: Sequence[str], rows: Iterable[Row]) -> None:
        self.stdout.write(_markdown_line(columns))
        self.stdout.write(_markdown_line("---" for _ in columns))
        for row in rows:
            self.stdout.write(_markdown_line(cell_of(value) for value in row))

    def _table(self, columns: Sequence[str], rows: Iterable[Row]) -> None:
        """Draw a table; a long one in chunks, with the widths of the first."""
        from rich.console import Console  # drawing is the only use, and importing it takes long

        console = Console(
            file=self.stdout,
            markup=False,
            highlight=False,
            emoji=False,
            width=None if self.terminal else 100_000,
            no_color="NO_COLOR" in os.environ or None,
        )
        widths: list[int] = []
        remaining = iter(rows)
        while chunk := list(islice(remaining, CHUNK)) or ([] if widths else None):
            self._draw(console, columns, chunk, widths)
        if not widths:
            self._draw(console, columns, [], widths)

    def _draw(
        self, console: Any, columns: Sequence[str], chunk: Sequence[Row], widths: list[int]
    ) -> None:
        from rich.box import SIMPLE_HEAD
        from rich.cells import cell_len
        from rich.table import Table
        from rich.text import Text

        cells = [[_show_control(cell_of(value)) for value in row] for row in chunk]
        table = Table(box=SIMPLE_HEAD, show_header=not widths, show_edge=False, pad_edge=False)
        if not widths:
            table_of = zip(columns, *cells, strict=True)
            widths.extend(max(cell_len(cell) for cell in column) for column in table_of)
        for name, width in zip(columns, widths, strict=True):
            table.add_column(
                Text(name), min_width=None if self.terminal else width, overflow="fold"
            )
        for row in cells:
            table.add_row(*(Text(cell) for cell in row))
        console.print(table)


class _Counter:
    """Count what passes."""

    def __init__(self, rows: Iterable[Any]) -> None:
        self.rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[Any]:
        for row in self.rows:
            self.count += 1
            yield row


def _markdown_line(cells: Iterable[str]) -> str:
    escaped = (_show_control(cell).replace("\\", "\\\\").replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |\n"


def _show_control(text: str) -> str:
    return CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def abandon(*streams: TextIO) -> None:
    """Discard what the streams hold and no longer can write.

    Python flushes both of its own once more at the end, and turns a failure into exit code 120.
    """
    for stream in streams:
        try:
            stream.flush()
        except OSError:
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, stream.fileno())
            os.close(nothing)


def _unbreakable(stream: TextIO | None) -> TextIO:
    """Make a stream that no character can break; a closed one takes everything."""
    if stream is None:
        stream = open(os.devnull, "w")  # noqa: SIM115  # it lives as long as the process
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        if stream.isatty():
            reconfigure(errors="backslashreplace")
        else:
            reconfigure(encoding="utf-8", errors="backslashreplace")
    return stream
