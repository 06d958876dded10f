"""A result on disk: it says why the run ended, also where the disk does not."""

import dataclasses
import json

from omrig.cli import results
from omrig.model.errors import Losses
from omrig.model.run import Run
from tests.unit.accounting import stamped


def test_the_end_of_a_run_counts_that_found_no_room_on_the_disk(tmp_path):
    before = stamped.run_json({}, sides=["producer"])
    (tmp_path / "producer").mkdir()
    (tmp_path / "run.json").write_text(json.dumps(before))
    ended = dataclasses.replace(Run.from_json(before), ended_because="the embedded broker died")
    losses = Losses(tmp_path)
    losses.add({"No space left on device": ["run.json"]})
    result = results.account(tmp_path, losses, ended)
    assert result.reason.startswith("the embedded broker died")
    assert "No space left on device" in result.reason
