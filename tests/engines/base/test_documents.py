"""JSON documents are compared by their characters, however these are spelled."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from conftest import Database
from dbtasks import Project
from dbtasks.records import delete, query


class Base(DeclarativeBase):
    pass


class Paper(Base):
    __tablename__ = "paper"
    id: Mapped[int] = mapped_column(primary_key=True)
    document: Mapped[object | None] = mapped_column(sa.JSON)


SPELLINGS = [
    [r'{"é/": "ü😀"}', r'{"\u00e9\/": "\u00fc\ud83d\ude00"}', r'{ "\u00E9/":"ü\uD83D\uDE00"}'],
    [r'"a\"b\\\/c"', r'"a\"b\\/c"', r'"\u0061\"b\\/c"'],
    [r'"\\u00e9"', r'"\\\u0075\u0030\u0030e9"', r'"\\u00e\u0039"'],
    [r'["\n\u0001", "\t"]', r'["\n\u0001","\t"]', r'[ "\n\u0001", "\t" ]'],
    [r'"é"', r'"\u00e9"', r'"\u00E9"'],
]
"""Texts that are one document each."""


@pytest.fixture
def papers(database: Database, tmp_path: Path) -> Iterator[Project]:
    texts = [text for spellings in SPELLINGS for text in spellings]
    with Project.configure(tmp_path, url=database.url, metadata=f"{__name__}:Base") as project:
        with project.migrating(writes=True) as connection, connection.begin():
            Base.metadata.create_all(connection)
            insert = sa.text("INSERT INTO paper (id, document) VALUES (:id, :document)")
            rows = [{"id": number, "document": text} for number, text in enumerate(texts)]
            connection.execute(insert, rows)
        yield project


@pytest.mark.parametrize("number", range(len(SPELLINGS)))
def test_a_document_is_found_in_every_spelling(papers: Project, number: int) -> None:
    own = [3 * number + place for place in range(3)]
    for text in SPELLINGS[number]:
        assert found(papers, f"document={text}") == own
        assert found(papers, f"document__ne={text}") == [
            other for other in range(3 * len(SPELLINGS)) if other not in own
        ]


def test_a_document_that_is_kept_is_not_deleted(papers: Project) -> None:
    kept = json.dumps(json.loads(SPELLINGS[0][0]))
    delete(papers, "Paper", where=[f"document__ne={kept}"])
    assert found(papers, "id__isnull=false") == [0, 1, 2]


def found(project: Project, where: str) -> list[int]:
    return [key for (key,) in query(project, "Paper", where=[where], columns=["id"]).rows()]
