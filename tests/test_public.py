"""What `import dbtasks` promises."""

import importlib

import pytest

import dbtasks


def test_names_are_sorted_and_there() -> None:
    assert dbtasks.__all__ == sorted(dbtasks.__all__)
    for name in dbtasks.__all__:
        assert getattr(dbtasks, name).__doc__


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_like_that"):
        dbtasks.nothing_like_that  # noqa: B018  # the access is what is tested


@pytest.mark.parametrize("family", ["migrations", "records", "fixtures", "databases"])
def test_family_publishes_sorted_names(family: str) -> None:
    module = importlib.import_module(f"dbtasks.{family}")
    assert module.__all__ == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name).__doc__
