"""What is profiled and how: what is refused, what the plan hands down, what is written."""

import dataclasses
import itertools
import json

import pytest

from omrig.model import profiling
from omrig.model.errors import UsageError
from omrig.model.load import Load
from omrig.model.plan import Plan
from omrig.model.profiling import BUILT_IN, CLOCK, OPTIONS, SAMPLE, TARGETS, Profiling, fraction


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"clock": "sun"}, "--clock: unknown 'sun'; choose from cpu, wall"),
        ({"sample": 0}, "--sample: 0 is too small; give 1 or more"),
        ({"gil": True}, "--gil: only py-spy takes it; add pyspy to --profile, or leave it out"),
        ({"native": True}, "--native: only py-spy takes it; add pyspy to --profile"),
    ],
)
def test_what_makes_no_sense_is_refused_by_the_option_s_name(options, refusal):
    with pytest.raises(UsageError) as error:
        Profiling(options=options)
    assert str(error.value).startswith(refusal)


def test_an_option_is_taken_with_its_mode():
    assert Profiling(modes=("stages", "pyspy"), options={"gil": True, "native": True})


@pytest.mark.parametrize(
    ("asked", "modes"),
    [
        ((), ("stages",)),
        (("stages",), ("stages",)),
        (("yappi",), ("stages", "yappi")),
        (("yappi", "stages"), ("stages", "yappi")),
        (("stages", "yappi"), ("stages", "yappi")),
        (("resources",), ("stages", "resources")),
        (("memory", "lines"), ("stages", "memory", "lines")),
        (("none",), ("none",)),
        (("none", "memory"), ("none", "memory")),
        # Refused later, as what was asked for.
        (("stages", "none"), ("stages", "none")),
        (("stages", "stages"), ("stages", "stages")),
    ],
)
def test_stages_are_in_every_choice_of_modes_but_with_none(asked, modes):
    found = Profiling(modes=asked)
    assert found.modes == modes == Profiling(modes=found.modes).modes
    assert found.public()["profile"] == modes


def test_stages_are_left_out_where_a_mode_refuses_them_and_the_plan_says_so():
    found = Profiling(modes=("beads",), stages_refused="mode 'beads' refuses them: why")
    plan = Plan(sides=("producer",), run_id="1", profiling=found)
    assert Plan.from_json(plan.to_json()).profiling.modes == ("beads",)
    assert plan.public()["stages_refused"] == "mode 'beads' refuses them: why"
    assert "stages_refused" not in Profiling().public()


def test_what_is_not_set_is_at_its_default():
    given = Profiling(options={"clock": "wall"})
    assert (given.value(CLOCK), given.value(SAMPLE), given.value(TARGETS)) == ("wall", 1, ())


def test_every_option_of_a_mode_is_listed_once():
    assert {option for options in OPTIONS.values() for option in options} == {*BUILT_IN}
    assert len({option.flag for option in BUILT_IN}) == len(BUILT_IN)


def test_it_survives_the_pipe_to_the_measured_process():
    options = {"targets": ("kombu", "x.toml"), "sample": 4, "beads": 3}
    plan = Plan(sides=("producer",), run_id="1", profiling=Profiling(twin=True, options=options))
    plan = dataclasses.replace(plan, load=Load(messages=100_000))
    assert Plan.from_json(plan.to_json()) == plan


def test_the_run_folder_names_options_as_it_names_the_rest_of_the_plan():
    plan = Plan(sides=("producer",), run_id="1", profiling=Profiling(options={"targets": ("a",)}))
    public = json.loads(json.dumps(plan.public()))
    names = list(public)
    start = names.index("profile")
    assert names[start : start + 7] == [
        *("profile", "sample", "twin", "clock", "gil", "native", "targets")
    ]
    assert (public["profile"], public["sample"], public["targets"]) == (["stages"], 1, ["a"])
    assert "mode_options" not in public
    assert Profiling(options={"beads": 3}).public()["mode_options"] == {"beads": 3}


@pytest.mark.parametrize("text", ["1", "2/3", "1/", "1/x", "1/0", "1/-4", "1/1.5"])
def test_a_sample_that_is_none_is_refused_with_the_form(text):
    with pytest.raises(ValueError, match="of the form 1/N"):
        fraction(text)


def test_a_sample_is_one_of_so_many():
    assert (fraction("1/1"), fraction("1/16")) == (1, 16)


def test_of_many_messages_some_keep_their_stages_and_all_where_it_was_asked_for():
    assert [profiling.sample_of(each) for each in (None, 1, 250_000, 250_001)] == [1, 1, 1, 2]
    assert profiling.sample_of(10_000_000) == 64
    # Whoever knows of fewer messages keeps all that the other one keeps.
    samples = [profiling.sample_of(each) for each in range(1, 20_000_000, 99_991)]
    assert all(large % small == 0 for small, large in itertools.pairwise(samples))
