"""Omrig's own copy of a library beside the one that a service has."""

import sys

import pytest

from omrig.measured.attached.private import imported


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """The service's package and omrig's, of the same name."""
    made = {}
    for whose in ("theirs", "ours"):
        package = tmp_path / whose / "some_library"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("from some_library.part import WHOSE\n")
        (package / "part.py").write_text(f"WHOSE = {whose!r}\n")
        made[whose] = package
    monkeypatch.syspath_prepend(str(tmp_path / "theirs"))
    yield made
    for name in [each for each in sys.modules if each.startswith("some_library")]:
        del sys.modules[name]


def whose():
    from some_library import WHOSE

    return WHOSE


def test_only_within_it_is_ours(folders) -> None:
    before = sys.meta_path.copy()
    with imported("some_library", str(folders["ours"])):
        assert whose() == "ours"
    assert not [name for name in sys.modules if name.startswith("some_library")]
    assert whose() == "theirs"
    assert sys.meta_path == before


def test_what_the_service_has_imported_is_as_it_was(folders) -> None:
    assert whose() == "theirs"
    module, part = (sys.modules[name] for name in ("some_library", "some_library.part"))
    with imported("some_library", str(folders["ours"])):
        assert whose() == "ours"
    assert sys.modules["some_library"] is module
    assert sys.modules["some_library.part"] is part


def test_also_where_the_import_fails(folders) -> None:
    assert whose() == "theirs"
    (folders["ours"] / "part.py").write_text("raise ValueError\n")
    with pytest.raises(ValueError), imported("some_library", str(folders["ours"])):
        whose()
    assert whose() == "theirs"
