"""Django's questions, put to a person at a terminal."""

from typing import TYPE_CHECKING

from dbtasks.errors import Negative, UsageError
from dbtasks.hints import command_line
from dbtasks.tasks.history import show_text
from dbtasks.tasks.run import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbtasks.migrations import Answers, Made, Merge, Question


SQL = "sql:"


def read_answers(
    run: Run,
    rename: list[str] | None,
    drop: list[str] | None,
    default: list[str] | None,
    default_sql: list[str] | None,
) -> "Answers":
    """Return what flags answer; the rest is asked where there is somebody to ask."""
    from dbtasks import migrations

    def ask(question: "Question") -> str | None:
        if question.old:
            asked = f"Was {question.old} renamed to {question.new}?"
            return _ask_whether(run, f"{asked}{question.types}", question.notes)
        if question.kind is migrations.Kind.VALUES:
            for note in question.notes:
                run.output.note(note)
            return _ask_whether(run, f"{question.new} loses its values. Continue?", ())
        return _ask_default(run, question)

    return migrations.Answers(
        renames=migrations.parse_pairs(rename or (), "--rename", ":"),
        dropped=tuple(drop or ()),
        defaults=migrations.parse_pairs(default or (), "--default", "="),
        expressions=migrations.parse_pairs(default_sql or (), "--default-sql", "="),
        ask=None if run.no_input or not run.terminal else ask,
    )


def _ask_whether(run: Run, asked: str, notes: "Sequence[str]") -> str | None:
    """Return yes or no, which Enter means too; `?` shows what else is to be known.

    None where the input ends.
    """
    known = {"y": "yes", "yes": "yes", "n": "no", "no": "no", "": "no"}
    while (answer := run.typed(f"{asked} [y/N/?] ")) is not None:
        if answer.lower() in known:
            return known[answer.lower()]
        for note in notes if answer == "?" else ("y = yes, n or Enter = no, ? = what it means",):
            run.output.note(f"  {note}")
    return None


def _ask_default(run: Run, question: "Question") -> str | None:
    """Return what is typed, which is a literal unless it says that it is SQL."""
    from dbtasks import migrations

    answer = run.answer(
        f"Existing rows need a value for the column {question.new}.\n"
        "Value for existing rows ('' = empty string, sql:EXPR = SQL expression, Enter = cancel): "
    )
    if answer is not None and answer.startswith(SQL):
        return migrations.Expression(answer.removeprefix(SQL).strip())
    return "" if answer in ("''", '""') else answer


def refuse_useless(answers: "Answers", **chosen: bool) -> None:
    """Refuse answers where nothing is asked."""
    given = [*answers.renames, *answers.dropped, *answers.defaults, *answers.expressions]
    for name, value in chosen.items():
        if value and given:
            raise UsageError(
                f"--{name} asks nothing, and {given[0]} would be no answer",
                hint=f"leave out --{name}, or --rename, --drop, --default and --default-sql",
            )


def refuse_several(**chosen: bool) -> None:
    """Refuse options of which each says another thing to do."""
    given = [f"--{name}" for name, value in chosen.items() if value]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other", hint="give one of them")


def refuse_beside(option: str, given: object, **chosen: bool) -> None:
    """Refuse an option where another leaves nothing for it to do."""
    for name, value in chosen.items():
        if given and value:
            raise UsageError(f"--{name} takes no {option}", hint="leave out one of the two")


def show_merge(run: Run, merge: "Merge") -> None:
    """Show what each side does, and the tables that both touch."""
    for head, side in merge.sides.items():
        run.output.line(f"{head}:")
        for one in side:
            run.output.line(f"  {one.revision}: {', '.join(one.operations) or 'nothing'}")
    for table in merge.shared:
        run.output.note(f"both touch {table}: see that they go together")
    for one in (one for side in merge.sides.values() for one in side if one.sql):
        run.output.note(f"{one.revision} has SQL of its own: see that it goes with the other side")
    if merge.beside:
        run.output.note(f"other branches, which stay beside it: {', '.join(merge.beside)}")


def show_made(run: Run, made: "Made") -> None:
    """Show the revision that was written, or would be."""
    if made.draft.left_out:
        tables = ", ".join(made.draft.left_out)
        run.output.note(f"not compared, as target_metadata in env.py does not have them: {tables}")
    if made.revision is None and not made.draft.changes:
        run.output.line("No changes.")
        return
    for change in made.draft.changes:
        run.output.note(f"  {change}")
    for note in sorted(made.draft.upgrade.notes | made.draft.downgrade.notes):
        run.output.note(note)
    if made.draft.fault:
        run.output.note(f"its downgrade() was tried, and has to be fixed: {made.draft.fault}")
    if made.revision is not None:
        run.output.line(f"Wrote {made.revision.path}")
        return
    for function, code in (("upgrade", made.draft.upgrade), ("downgrade", made.draft.downgrade)):
        run.output.line(f"def {function}() -> None:")
        show_text(run.output, f"    {code.text}")


def show_missing(run: Run, changes: "Sequence[str]") -> None:
    """Show what the models have without a migration, and say no if there is anything."""
    for change in changes:
        run.output.line(change)
    if changes:
        raise Negative(
            "the models have changes without a migration", hint=command_line("makemigrations")
        )
    run.output.line("No changes.")
