"""One run of a command: what it was given, its project, and its way to the person."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import cached_property
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

from dbtasks.errors import NOTHING_CHANGED, DbtasksError, LocalFailure, NotInDatabase, Refused
from dbtasks.hints import command_line
from dbtasks.output import Output
from dbtasks.settings import Options, Settings, resolve
from dbtasks.tasks import collector

if TYPE_CHECKING:
    from dbtasks.migrations.history.reader import RevisionFile
    from dbtasks.project import Project


@dataclass(eq=False)
class Binding:
    """Hold what `collection(...)` was given, for all its commands."""

    options: Options
    root: Path
    config_key: str
    projects: "dict[str, Project]" = field(default_factory=dict)

    def __deepcopy__(self, memo: object) -> "Binding":
        """Stay one: Invoke copies the commands one by one, and they share their databases."""
        return self

    def settings(self, config: Mapping[str, Any], database: str | None) -> Settings:
        """Return the settings as they stand now."""
        return resolve(
            self.options,
            self.root,
            environ=dict(os.environ),
            config=config,
            config_key=self.config_key,
            database=database,
        )

    def project(self, settings: Settings) -> "Project":
        """Return the project; one for each database, so that one in memory stays."""
        from dbtasks.project import Project

        known = self.projects.get(settings.database)
        if known is None or known.settings != settings:
            self.projects[settings.database] = known = Project(settings)
        return known


@dataclass
class Run:
    """Give a command's body its project, its options and its output."""

    binding: Binding
    config: Mapping[str, Any]
    remainder: str
    output: Output
    database: str | None = None
    dry_run: bool = False
    no_input: bool = False
    allow_production: str | None = None
    echo: bool = False
    replaces_marker: bool = False
    finished: list[str] = field(default_factory=list)
    _announced: str = ""
    _warned: bool = False

    @cached_property
    def settings(self) -> Settings:
        """Return the settings of the project."""
        return self.binding.settings(self.config, self.database)

    @cached_property
    def project(self) -> "Project":
        """Return the project on the database of this run."""
        project = self.binding.project(self.settings)
        project.echo = self.echo
        project.outcome = NOTHING_CHANGED
        collector.settle()
        return project

    def announce(self) -> None:
        """Say which database is written to, and check that it may be; a dry run reads only."""
        self._announced = self.project.describe()
        self.output.note(f"database: {self._announced}")
        if not self.dry_run:
            self.check_write()

    def check_write(self) -> None:
        """Raise Refused where the database may not be written to."""
        from dbtasks import guards

        guards.check_writable(self.project)
        allow, replaces = self.allow_production, self.replaces_marker
        guards.check_write(self.project, allow_production=allow, replaces=replaces)

    def turn_to(self, alias: str) -> None:
        """Go on with another database."""
        self.__dict__.pop("settings", None)
        self.__dict__.pop("project", None)
        self.database = alias

    def other_project(self, alias: str) -> "Project":
        """Return the project on another of its databases."""
        project = self.binding.project(self.binding.settings(self.config, alias))
        project.echo = self.echo
        return project

    def tell_waiting(self, holder: str) -> None:
        """Say whom the command waits for."""
        self.output.note(self.scrub(f"waiting for {holder}"))

    def lacks_models(self) -> bool:
        """Whether the project has no models yet; says where to add them."""
        if self.project.mappers or any(one.tables for one in self.project.metadata):
            return False
        modules = " or ".join(one.partition(":")[0] for one in self.settings.metadata)
        self.output.note(
            f"There are no models yet: add a class to {modules}, then run "
            f"{command_line('makemigrations')} and {command_line('migrate')}."
        )
        return True

    @property
    def terminal(self) -> bool:
        """Whether there is a person who can be asked."""
        return sys.stdin is not None and sys.stdin.isatty()

    def confirm(self, action: str) -> None:
        """Stand before all that destroys: the marker must allow it, and a person confirm it.

        A person types the database's name; --no-input answers that, but never the marker.
        """
        self.allow(action)
        if not self.no_input:
            self.ask(action)

    def confirm_in_production(self, action: str) -> None:
        """Confirm what may destroy, where the database is marked as production."""
        from dbtasks import guards

        if guards.is_production(self.project):
            self.confirm(action)

    def allow(self, action: str) -> None:
        """Check before something is destroyed that it may be, and that somebody can confirm it."""
        from dbtasks import guards

        guards.check_write(
            self.project,
            destructive=True,
            allow_production=self.allow_production,
            replaces=self.replaces_marker,
        )
        if self.no_input:
            named = self.settings.sources["database"] != "default"
            guards.check_chosen(self.project, named=named)
        elif not self.terminal:
            raise guards.refuse_without_terminal(action)

    def ask(self, action: str, project: "Project | None" = None) -> None:
        """Ask for the name of a database, this one's or another's; Refused for another answer."""
        from dbtasks import guards

        asked = project or self.project
        question = guards.ask(asked, action)
        told = asked.describe() == self._announced
        self.output.note(question.text.partition("\n")[0] if told else question.text)
        question.check(self._answer(f"Type {question.word} to go on: "))

    def ask_yes(self, action: str) -> None:
        """Ask for a yes, and raise Refused for another answer."""
        if self._answer(f"{action}? [y/N] ").strip().lower() not in ("y", "yes"):
            raise Refused("not confirmed", hint="answer y to go on", state=self.outcome)

    def check_unattended(self, *, by_key: bool) -> None:
        """Refuse a change on a production database that nobody sees and nothing limits."""
        from dbtasks import guards

        guards.check_limited(self.project, by_key=by_key)

    def typed(self, prompt: str) -> str | None:
        """Ask for a line of text; None where the input ends."""
        line = self._answer(prompt)
        return line.strip() if line else None

    def answer(self, prompt: str) -> str | None:
        """Ask for a line of text; None where nothing is typed."""
        return self._answer(prompt).strip() or None

    def _answer(self, prompt: str) -> str:
        self.output.stderr.write(prompt)
        self.output.stderr.flush()
        return sys.stdin.readline()

    @property
    def stdin(self) -> BinaryIO:
        """Return the bytes of stdin. Raises LocalFailure where it is closed."""
        if sys.stdin is None:
            raise LocalFailure("stdin is closed", hint="send the input to it, or name a file")
        return sys.stdin.buffer

    @contextmanager
    def reading(self, path: str | None) -> Iterator[TextIO | None]:
        """Open a file to read, or stdin where it is `-`."""
        if path is None:
            yield None
            return
        # Bytes, as the locale is not the file's; utf-8-sig, as spreadsheets begin with a mark.
        with nullcontext(self.stdin) if path == "-" else open(path, "rb") as stream:
            text = TextIOWrapper(stream, encoding="utf-8-sig", newline="")
            try:
                yield text
            finally:
                text.detach()  # stdin stays open

    def mark_new(self) -> None:
        """Mark an unmarked database with our environment; what was done stands without it too."""
        from dbtasks import guards

        try:
            if marked := guards.mark_new(self.project):
                self.output.note(
                    f"{self.project.name} is now marked as {marked}, as DBTASKS_ENV says; "
                    f"to undo that: {command_line('protect', remove=True)}"
                )
        except DbtasksError as error:
            environment = self.settings.environment
            self.output.note(
                self.scrub(f"warning: not marked as {environment}: {error.message}")
                + "\nhint: as a user who may make tables: "
                + command_line("protect", as_=environment)
            )

    def tell_changed(
        self, revisions: "Sequence[RevisionFile] | None" = None, *, edited: bool = False
    ) -> None:
        """Say that the models have changed since the newest revision; it stands without it too."""
        from dbtasks.migrations.history import fingerprint

        with suppress(DbtasksError):
            if newest := fingerprint.changed_since(self.project, revisions, edited=edited):
                self.output.note(
                    f"the models have changed since {newest}\n"
                    f"hint: {command_line('makemigrations')}"
                )

    def warn_of_lazy_load(self, relationship: str) -> None:
        """Say that a relationship is loaded one by one, which takes long."""
        self.output.note(
            f"warning: {relationship} is loaded one record at a time: the first record, from "
            "which the eager loads are learned, does not read it"
        )

    def warn_unknown(self, tables: Sequence[str], what: str) -> None:
        """Name the tables that no model knows, and that the command passes over."""
        if tables:
            told = "1 table of the database has no model and is"
            if len(tables) > 1:
                told = f"{len(tables)} tables of the database have no model and are"
            self.output.note(
                f"warning: {told} {what}: {', '.join(tables)}\n"
                "hint: to include a table, name the module of its model in metadata= in tasks.py"
            )

    def warn_once(self, error: DbtasksError) -> None:
        """Say what is being waited for, without repeating it."""
        if not self._warned:
            self._warned = True
            self.output.note(self.scrub(f"waiting: {error.message}"))

    def explain_missing(self, error: NotInDatabase) -> None:
        """Point to makemigrations where all migrations are applied, and a table is missing."""
        from dbtasks import migrations

        with suppress(DbtasksError):  # the first error is the one to report
            alias = error.database
            project = self.other_project(alias) if alias else self.project
            if all(one.applied for one in migrations.showmigrations(project)):
                makes = "if the models have it, no migration makes it"
                if error.tables:
                    makes = f"none makes {', '.join(error.tables)}"
                new = command_line("makemigrations")
                error.hint = f"all migrations are applied; {makes}: {new}{error.instead}"

    def scrub(self, text: str) -> str:
        """Return a text without the passwords of the database."""
        from dbtasks.engines import mask_text

        for project in self.binding.projects.values():
            text = project.scrub(text)
        return mask_text(text)

    @property
    def outcome(self) -> str:
        """Return what has become of the database so far."""
        project = self.binding.projects.get(self.settings.database)
        return project.outcome if project is not None else NOTHING_CHANGED
