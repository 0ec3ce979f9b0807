"""makemigrations at a terminal: what it shows, what it asks, and what may be typed."""

from collections.abc import Callable
from pathlib import Path

from office import Inv, add_column, on_sqlite

Terminal = Callable[..., tuple[int, str]]


@on_sqlite
def test_the_code_is_shown_line_by_line(office: Inv, company: Path, terminal: Terminal) -> None:
    for name in ("nick", "room"):
        add_column(company, f"{name}: Mapped[str | None] = mapped_column(String(20))")
    code, shown = terminal("makemigrations", "--dry-run")
    assert code == 0, shown
    assert "\\n" not in shown
    assert len([one for one in shown.splitlines() if one.startswith("    op.add_column(")]) == 2
    assert '        batch_op.drop_column("room")' in shown.splitlines()
