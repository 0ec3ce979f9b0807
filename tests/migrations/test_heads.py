"""The heads read from the files of a project, as Alembic finds them by its configuration."""

from pathlib import Path

import pytest

from dbtasks import Project
from dbtasks.migrations.history.directory import read_config, read_scripts
from dbtasks.settings import Options, Settings, resolve
from trees import FIRST, add_revision, heads_of


def settings_of(root: Path, alembic: str = "alembic.ini") -> Settings:
    return resolve(Options(alembic=alembic), root, environ={})


def asked_heads(root: Path, alembic: str = "alembic.ini") -> set[str]:
    project = Project(settings_of(root, alembic))
    return set(read_scripts(read_config(project)).revision_map._real_heads)


def test_heads_of_the_reference_project(company: Path) -> None:
    assert heads_of(settings_of(company)) == {FIRST} == asked_heads(company)
    add_revision(company, "0002_place")
    assert heads_of(settings_of(company)) == {"0002_place"} == asked_heads(company)


@pytest.mark.parametrize(
    "lines",
    [
        "script_location = migrations\npath_separator = os",
        "script_location = %(here)s/migrations\n# version_locations = elsewhere",
        "script_location = migrations\npath_separator = newline\n"
        "version_locations =\n    migrations/versions\n    %(here)s/more versions",
        "script_location = migrations\npath_separator = :\n"
        "version_locations = migrations/versions:more versions",
        "script_location = migrations\nrecursive_version_locations = true",
        "script_location = migrations\nrecursive_version_locations = True",
        "script_location = migrations\nsourceless = false\nfile_template = %%(rev)s",
    ],
)
def test_heads_by_the_configuration(lines: str, company: Path) -> None:
    path = add_revision(company, "0002_place")
    path.parent.joinpath("sub").mkdir()
    add_revision(company, "0003_sub", after="0002_place").rename(path.parent / "sub" / "0003.py")
    company.joinpath("more versions").mkdir()
    add_revision(company, "0004_more", after=FIRST).rename(company / "more versions" / "0004.py")
    (company / "alembic.ini").write_text(f"[alembic]\n{lines}\n")
    found = heads_of(settings_of(company))
    assert found is not None
    assert found == asked_heads(company)


@pytest.mark.pyproject
def test_heads_by_pyproject(company: Path) -> None:
    (company / "alembic.ini").unlink()
    path = company / "pyproject.toml"
    path.write_text('[tool.alembic]\nscript_location = "%(here)s/migrations"\n')
    assert heads_of(settings_of(company, path.name)) == {FIRST} == asked_heads(company, path.name)
    path.write_text(
        '[tool.alembic]\nscript_location = "migrations"\nversion_locations = ["none"]\n'
    )
    assert heads_of(settings_of(company, path.name)) == set() == asked_heads(company, path.name)
    path.write_text('[tool]\nalembic = "no table"\n')
    assert heads_of(settings_of(company, path.name)) is None


@pytest.mark.pyproject
@pytest.mark.parametrize("named", ["alembic.ini", "pyproject.toml"])
@pytest.mark.parametrize("ini", ["", "version_locations =\n", "version_locations = none\n"])
def test_heads_by_both_files(named: str, ini: str, company: Path) -> None:
    (company / "pyproject.toml").write_text(
        '[tool.alembic]\nscript_location = "elsewhere"\nversion_locations = ["other"]\n'
    )
    add_revision(company, "0002_other", after=None).rename(
        (company / "other").mkdir() or company / "other" / "0002.py"
    )
    path = company / "alembic.ini"
    path.write_text(path.read_text() + ini)
    found = heads_of(settings_of(company, named))
    assert found is not None
    assert found == asked_heads(company, named)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("alembic.ini", "[alembic]", "[other]"),
        ("alembic.ini", "%(here)s/migrations", "company:migrations"),
        ("alembic.ini", "%(here)s/migrations", "%(nowhere)s/migrations"),
        ("alembic.ini", "%(here)s/migrations", "elsewhere"),
        ("alembic.ini", "path_separator = os", "sourceless = true"),
        ("alembic.ini", "path_separator = os", "version_table = mine"),
        ("alembic.ini", "path_separator = os", "version_locations = migrations/versions"),
        ("alembic.ini", "path_separator = os", "version_locations = a\npath_separator = comma"),
        ("migrations/env.py", "Base.metadata", 'Base.metadata, version_table="mine"'),
        ("migrations/env.py", "Base.metadata", "Base.metadata, **mine"),
        ("migrations/env.py", "environment.run(", "for one in engines:\n    environment.run("),
        ("migrations/env.py", "environment.run(Base.metadata)", "run_all(Base.metadata)"),
        (f"migrations/versions/{FIRST}.py", "\nrevision: str =", "\nrevision = note ="),
    ],
)
def test_knows_no_heads_where_anything_is_unusual(
    name: str, old: str, new: str, company: Path
) -> None:
    text = (company / name).read_text()
    (company / name).write_text(text.replace(old, new))
    assert old in text
    assert heads_of(settings_of(company)) is None


def test_knows_no_heads_without_the_file(company: Path) -> None:
    assert heads_of(settings_of(company, "missing.ini")) is None
    assert heads_of(settings_of(company, "missing.toml")) is None
