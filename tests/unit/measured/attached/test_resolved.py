"""Stage maps as a service reads them."""

import pytest

from omrig.drivers import maps
from omrig.measured.attached import resolved


def test_a_service_reads_what_was_written(tmp_path) -> None:
    chosen = maps.for_scheme("rabbit")
    resolved.Resolved(chosen, "/a/library").write(str(tmp_path))
    found = resolved.read(str(tmp_path))
    assert (found.maps, found.library) == (chosen, "/a/library")


def test_another_schema_is_refused(tmp_path) -> None:
    (tmp_path / resolved.NAME).write_text('{"schema": 2}')
    with pytest.raises(ValueError, match="is of schema 2, not 1"):
        resolved.read(str(tmp_path))
