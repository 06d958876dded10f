"""Profiles by stage: what is added up, and how it is kept."""

import pytest

from omrig.model.by_stage import MOST, ByStage, Tally

SEND = ("Connection._publish", "/site/impl_rabbit.py", 40)


def test_shares_of_stages_and_of_what_is_in_none_add_up():
    tally = Tally()
    tally.add("publish", SEND, 30.0)
    tally.add("publish", ("other", None, None), 10.0)
    tally.add("api", ("call", None, None), 20.0)
    tally.leave("polling", 40.0)
    found = tally.summary("functions", "somehow")
    # In the order of the stage model, whichever was added first.
    assert [(each.stage, each.share) for each in found.stages] == [("api", 0.2), ("publish", 0.4)]
    assert [code.share for code in found.of("publish").code] == [0.75, 0.25]
    assert found.of("publish").code[0].line == 40
    assert found.unassigned_share == 0.4
    assert found.divided_share is None


def test_it_is_the_same_after_a_file():
    tally = Tally()
    tally.add("publish", SEND, 3.0)
    tally.lead_on("api", ("call", "/site/client.py", 7), 1.0, {"publish", "api"}, "several")
    found = tally.summary("lines", "by hits", {("/site/client.py", 7): "self._send()"})
    assert ByStage.of_summary({"by_stage": found.to_json()}) == found
    assert found.of("api").leading_on[0].source == "self._send()"
    assert found.of("api").leading_on[0].leads_to == ("api", "publish")
    assert found.of("api").share == 0
    assert found.unassigned[0].reason == "several"


def test_only_the_most_of_each_stage_is_kept():
    tally = Tally()
    for number in range(3 * MOST):
        tally.add("publish", (f"function{number}", None, None), number)
    kept = tally.summary("functions", "somehow").of("publish").code
    assert [code.function for code in kept] == [f"function{29 - n}" for n in range(MOST)]


def test_nothing_that_was_measured_is_no_profile():
    assert Tally().summary("lines", "by hits").failed == "nothing was measured"


def test_a_summary_need_not_know_of_stages():
    assert ByStage.of_summary({"lines": []}) is None
    with pytest.raises(ValueError, match="there is no 'kind'"):
        ByStage.of_summary({"by_stage": {"how": "somehow"}})
