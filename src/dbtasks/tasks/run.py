"""One run of a command: what it was given, its project, and its way to the person."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbtasks.errors import DbtasksError
from dbtasks.output import Output
from dbtasks.settings import Options, Settings, resolve
from dbtasks.tasks import collector

if TYPE_CHECKING:
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
            self.options, self.root, environ=dict(os.environ), config=config, database=database
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
    echo: bool = False
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
        collector.settle()
        return project

    def announce(self) -> None:
        """Check that the database may be written to, and say which it is."""
        from dbtasks.guards import check_writable

        check_writable(self.project)
        self.output.note(f"database: {self.project.describe()}")

    def confirm(self, action: str) -> None:
        """Ask before something is destroyed; go on when the database's name is typed."""
        from dbtasks import guards

        if self.no_input:
            named = self.settings.sources["database"] != "default"
            guards.check_chosen(self.project, named=named)
            return
        if not sys.stdin.isatty():
            raise guards.refuse_without_terminal(action)
        question = guards.ask(self.project, action)
        self.output.note(question.text)
        self.output.stderr.write(f"Type {question.word} to go on: ")
        self.output.stderr.flush()
        question.check(sys.stdin.readline())

    def warn_of_lazy_load(self, relationship: str) -> None:
        """Say that a relationship is loaded one by one, which takes long."""
        self.output.note(
            f"warning: {relationship} is loaded one record at a time: the first record, from "
            "which the eager loads are learned, does not read it"
        )

    def warn_once(self, error: DbtasksError) -> None:
        """Say what is being waited for, without repeating it."""
        if not self._warned:
            self._warned = True
            self.output.note(self.scrub(f"waiting: {error.message}"))

    def scrub(self, text: str) -> str:
        """Return a text without the passwords of the database."""
        project = self.__dict__.get("project")
        return project.scrub(text) if project is not None else text
