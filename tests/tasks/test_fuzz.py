"""Command lines at random: no traceback, a documented code, and a true state.

The whole is `python benchmarks/fuzz.py`, on each kind of database.
"""

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from command_lines import COMMANDS, Case, Fuzz, cases
from conftest import clean_environment, copy_company

EXAMPLES = 12
"""Of each command. They are the same at each run."""

FEW = {"init": 3}
"""It starts a process to check what it found."""


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory: pytest.TempPathFactory) -> Fuzz:
    root = copy_company(tmp_path_factory.mktemp("fuzz") / "project")
    return Fuzz(
        root, clean_environment(), *(f"sqlite:///{root}/{name}.db" for name in ("app", "other"))
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_command_line(fuzz: Fuzz, name: str) -> None:
    @settings(
        max_examples=FEW.get(name, EXAMPLES),
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases([name]))
    def run(case: Case) -> None:
        assert fuzz.faults(case) == [], case

    run()


def test_state_that_is_not_true_is_found(fuzz: Fuzz) -> None:
    """As a seed makes it, which writes on a connection of its own before it raises."""
    write = f"sqlite3.connect({str(fuzz.root / 'app.db')!r}).executescript"
    lie = f"import sqlite3\n\n{write}('DELETE FROM line')\nraise ValueError\n"
    seeds = fuzz.root / "src" / "company" / "seeds.py"
    seeds.write_text(lie, encoding="utf-8")
    assert fuzz.faults(Case(["seed"]))[0] == "the database has changed"
    assert "ValueError" not in seeds.read_text(encoding="utf-8")
    assert fuzz.faults(Case(["seed", "--dry-run"])) == []
