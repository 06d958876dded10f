"""The sampled part of a result, its evidence in the verdict, and its words on the terminal."""

import array
import io
import json

import numpy
import pytest
from rich.console import Console

from omrig.accounting import usage
from omrig.accounting.merging import merge
from omrig.accounting.verdict import decision
from omrig.cli import results
from omrig.measured.profilers import registry
from omrig.model.errors import Losses, UsageError
from omrig.model.facts import Facts, Machine
from omrig.model.result import Result
from omrig.model.run import BrokerProcess, Sampling
from omrig.recordings import folder as run_folder
from omrig.recordings import recording, series, writer
from omrig.report import resources
from omrig.report.terminal.profiles import memory
from tests.unit.accounting import stamped
from tools import synthetic_values

SECOND = 1_000_000_000
MESSAGES = 4000
BEGAN, ENDED = 10 * SECOND, 20 * SECOND

BEAM = {"pid": 7, "name": "beam.smp", "reason": None}


def make_run(tmp_path, sides=("producer", "consumer"), profile=("none",), in_memory=False, **more):
    """A run of 4000 messages from second 10 to second 20 of the host's clock, without samples."""
    folder = run_folder.create(str(tmp_path / "run"), sides)
    plan = {"messages": MESSAGES, "profile": list(profile)}
    run = stamped.run_json(plan, sides=list(sides), **{"broker_process": BEAM, **more})
    run["transport"] |= {"in_memory": in_memory}
    writer.write_json(folder / "run.json", run)
    return folder


USAGE = {
    "wall_seconds": 11.0,
    "cpu_user_seconds": 4.0,
    "cpu_system_seconds": 1.0,
    "peak_rss_bytes": 2000,
    "voluntary_context_switches": 1,
    "involuntary_context_switches": 2,
}


def record(folder, side, boot_id="b1"):
    at = numpy.linspace(BEGAN, ENDED, MESSAGES).astype(numpy.uint64)
    ends = array.array("Q", at.tolist())
    about = {"usage": USAGE, "boot_id": boot_id, "host": "h", "producers": {"p": {}}}
    about |= {"sent": MESSAGES, "done": MESSAGES, "errors": {}, "producer_id": "p"}
    about |= {"received": MESSAGES, "duplicated": 0, "out_of_range": 0, "slices": []}
    columns = {"start_ns": ends, "end_ns": ends} if side == "producer" else {"received_ns.p": ends}
    writer.save_recording(folder / side, about, columns)


def write(path, columns, *rows):
    path.parent.mkdir(exist_ok=True)
    lines = [",".join("" if cell is None else str(cell) for cell in row) for row in rows]
    path.write_text("\n".join([",".join(columns), *lines]) + "\n")


def sample(folder, name, share):
    """Samples of a process that uses so much of a core, from second 0 to second 30."""
    write(
        folder / name / series.PROCESS,
        series.PROCESS_COLUMNS,
        *([tenth * SECOND // 10, tenth * share / 10, 0, 1000, *[None] * 6] for tenth in range(300)),
    )


def sample_machine(folder, busy):
    write(
        folder / series.MACHINE,
        series.MACHINE_COLUMNS,
        *([each * SECOND, each * busy, each * (2 - busy), 0, 0] for each in range(30)),
    )


@pytest.fixture
def result(tmp_path):
    folder = make_run(tmp_path)
    for side, share in (("producer", 0.5), ("consumer", 0.4), ("broker", 0.3)):
        sample(folder, side, share)
        if side != "broker":
            record(folder, side)
    sample_machine(folder, 1.5)
    return results.account(folder, Losses(folder)).to_json()


def test_a_result_has_the_own_readings_and_the_samples(result):
    used = result["resources"]
    assert list(used) == ["producer", "consumer", "broker"]
    assert {**USAGE, "sampled": used["producer"]["sampled"]} == used["producer"]
    assert used["producer"]["sampled"]["cpu_share_mean"] == 0.5
    assert used["consumer"]["sampled"]["cpu_share_mean"] == 0.4
    assert used["broker"]["process"] == "beam.smp"
    assert used["broker"]["cpu_user_seconds"] == pytest.approx(3)
    assert used["broker"]["wall_seconds"] == 10
    assert used["broker"]["sampled"]["samples"] == 101
    assert used["broker"]["sampled"]["threads_max"] is None


def test_the_machine_and_what_others_used_of_it(result):
    (machine,) = result["machines"]
    assert machine["sides"] == ["producer", "consumer"]
    assert machine["cores"] == 2
    assert machine["busy_share"] == 0.75
    assert machine["other_cpu_share"] == pytest.approx(1.5 - 0.5 - 0.4 - 0.3)


def test_the_files_are_artefacts(result):
    found = {artefact["path"]: artefact for artefact in result["artefacts"]}
    assert {"machine.csv", "producer/resources.csv", "broker/resources.csv"} <= found.keys()
    assert found["broker/resources.csv"]["side"] == "broker"


def test_a_side_that_died_has_its_samples_of_the_others_load(tmp_path):
    folder = make_run(tmp_path)
    record(folder, "producer")
    sample(folder, "consumer", 0.4)
    found = results.account(folder, Losses(folder)).to_json()
    assert not found["complete"]
    assert found["sides"] == ["producer"]
    assert found["resources"]["consumer"]["cpu_user_seconds"] == pytest.approx(4)
    assert found["resources"]["producer"]["sampled"] is None
    assert "consumer/resources.csv" in {each["path"] for each in found["artefacts"]}


def test_a_broker_that_is_not_here_is_none(tmp_path):
    folder = make_run(tmp_path, broker_process={"pid": None, "name": None, "reason": "elsewhere"})
    record(folder, "producer")
    assert results.account(folder, Losses(folder)).to_json()["resources"]["broker"] is None


def test_a_run_of_before_there_were_samples(tmp_path):
    folder = make_run(tmp_path)
    run = json.loads((folder / "run.json").read_text())
    del run["broker_process"]
    writer.write_json(folder / "run.json", run)
    record(folder, "producer")
    found = results.account(folder, Losses(folder)).to_json()
    assert found["resources"] == {
        "producer": {**USAGE, "sampled": None},
        "consumer": None,
        "broker": None,
    }
    assert found["machines"] == []


def test_the_sides_of_two_hosts_have_a_machine_each(tmp_path):
    folders = []
    for side, busy in (("producer", 1.0), ("consumer", 0.5)):
        folder = make_run(tmp_path / side, sides=(side,), broker_process=None)
        record(folder, side, boot_id=side)
        sample(folder, side, 0.25)
        sample_machine(folder, busy)
        folders.append(folder)
    found = merge(folders).result.to_json()
    assert [machine["sides"] for machine in found["machines"]] == [["producer"], ["consumer"]]
    assert [machine["busy_share"] for machine in found["machines"]] == [0.5, 0.25]
    assert [machine["other_cpu_share"] for machine in found["machines"]] == [0.75, 0.25]
    assert found["resources"]["broker"] is None


def grown(tmp_path, per_message, stamps=None, in_memory=False):
    """The memory of a producer that grows by so many bytes with each message, in ``result``."""
    folder = make_run(tmp_path, profile=("memory",), in_memory=in_memory)
    record(folder, "producer")
    write(
        folder / "producer" / series.MEMORY,
        series.MEMORY_COLUMNS,
        # Every other reading is left out; the end of the run is not the load's.
        *(
            [
                tenth * SECOND // 10,
                9_000_000 if tenth < 250 else 20_000_000,
                5_000_000 + 40 * tenth * per_message if tenth % 2 else None,
                100,
            ]
            for tenth in range(300)
        ),
    )
    if stamps:
        numpy.savez(folder / "producer/stamps.npz", producer=numpy.zeros((MESSAGES, stamps), "<u8"))
    (side,) = recording.load(folder).values()
    assert results.account(folder, Losses(folder)).to_json()["profiles"]["producer"][
        "memory"
    ] == usage.memory(side)
    return usage.memory(side)


@pytest.mark.parametrize("in_memory", [False, True])
def test_growth_from_samples_and_message_times(tmp_path, in_memory):
    found = grown(tmp_path, 1024, in_memory=in_memory)
    assert found["growth_bytes_per_message"] == pytest.approx(1024, rel=0.01)
    assert found["grows"] is True
    assert found["own_bytes_per_message"] == 0
    assert found["peak_rss_bytes"] == 9_000_000
    assert found["samples"] == 101


def test_growth_that_is_omrigs_own(tmp_path):
    found = grown(tmp_path, 176, stamps=22)
    assert found["own_bytes_per_message"] == 176
    assert found["grows"] is False


# The verdict's evidence


def evidence(**facts):
    verdict = decision.decide(synthetic_values.result(stages=()), Facts(**facts))
    return [each.text for each in verdict.evidence]


def test_a_process_whose_core_is_full_limits_the_run():
    assert evidence(cpu_share={"producer": 0.97, "consumer": 0.3}) == [
        "CPU of the producer: 0.97 of a core, which is full: the process limits the run",
        "CPU of the consumer: 0.30 of a core",
    ]


def test_a_full_machine_is_what_is_measured():
    machine = Machine(sides=("producer", "consumer"), cores=2, busy_share=0.96)
    assert evidence(broker_cpu_share=1.45, machines=[machine]) == [
        "CPU of the broker: 1.45 of 2 cores",
        "all 2 cores were busy 96 % of the time: what is measured is the machine",
    ]


@pytest.mark.parametrize(
    ("ran", "waited", "said"),
    [
        pytest.param(0.11, 0.95, "; its threads wait 8.6 times as long", id="starved"),
        pytest.param(0.5, 0.5, "; its threads wait 1.0 times as long", id="half of it"),
        pytest.param(0.5, 0.49, "", id="runs more than it waits"),
        pytest.param(0.01, 0.09, "", id="hardly anything to do"),
        pytest.param(0.11, None, "", id="unknown"),
    ],
)
def test_a_broker_that_waits_for_a_core_is_told(ran, waited, said):
    (line,) = evidence(broker_cpu_share=ran, broker_core_wait=waited)
    if said:
        said += " for a core as they run on one"
    assert line == f"CPU of the broker: {ran:.2f} cores{said}"


def test_a_machine_with_room_others_and_a_hypervisor():
    quiet = Machine(sides=("producer",), cores=4, busy_share=0.5)
    assert evidence(machines=[quiet]) == []
    shared = Machine(
        sides=("consumer",), cores=1, busy_share=0.81, steal_share=0.12, other_cpu_share=0.4
    )
    assert evidence(machines=[quiet, shared]) == [
        "the only core of the consumer's machine was busy 81 % of the time: what is measured is"
        " the machine",
        "other processes (the broker is one of them, or elsewhere) used 0.40 of a core of the"
        " consumer's machine meanwhile",
        "the hypervisor kept 12 % of the cores' time of the consumer's machine for others",
    ]


# On the terminal


def test_the_lines_of_a_result(result):
    run = synthetic_values.changed(synthetic_values.run(), broker_process=BEAM)
    lines = dict(resources.lines(run, Result.from_json(result)))
    assert lines == {
        "producer": "5.00 s CPU during the load, 0.50 of a core, 0.50 in the busiest second, peak"
        " memory 1.95 KiB",
        "consumer": "5.00 s CPU during the load, 0.40 of a core, 0.40 in the busiest second, peak"
        " memory 1.95 KiB",
        "broker": "3.00 s CPU during the load, 0.30 of a core, 0.30 in the busiest second, peak"
        " memory 1,000 B",
        "machine": "2 cores, 75 % busy, other processes 0.30 of a core",
    }


def test_a_broker_that_is_not_seen_and_samples_that_end():
    sampling = Sampling(
        interval_seconds=0.1, turns=1, cpu_seconds=0.1, wall_seconds=1.0, failure="OSError: full"
    )
    process = BrokerProcess(reason="elsewhere")
    run = synthetic_values.run(broker_process=process, sampling=sampling)
    result = synthetic_values.result(resources={"producer": None, "broker": None})
    assert list(resources.lines(run, result)) == [
        ("broker", "not sampled: elsewhere"),
        ("samples", "end early: OSError: full"),
    ]


FITTED = {
    "samples": 50,
    "peak_rss_bytes": 60 << 20,
    "peak_children_rss_bytes": 0,
    "messages": 4000,
    "own_bytes_per_message": 0.0,
    "growth_bytes_per_message": 1031.4,
    "standard_error_bytes": 20.3,
    "fitted_from_message": 2000,
    "grows": True,
    "reason": None,
}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {},
            "grows by 1,031 ± 20 bytes a message, fitted over messages 2,000 to 4,000; that early"
            " it may be caches and pools that still fill, and more messages tell",
        ),
        (
            {"messages": 40_000, "fitted_from_message": 20_000, "own_bytes_per_message": 208.0},
            "grows by 1,031 ± 20 bytes a message, of which 208 are omrig's own stamps, fitted over"
            " messages 20,000 to 40,000",
        ),
        (
            {"grows": False, "growth_bytes_per_message": 3.0},
            "no growth beyond the error (3 ± 20 bytes a message), fitted over messages 2,000 to"
            " 4,000",
        ),
        (
            {"growth_bytes_per_message": None, "standard_error_bytes": None, "reason": "too short"},
            "growth not fitted: too short",
        ),
    ],
)
def test_growth_in_words(changes, words):
    assert memory.growth({**FITTED, **changes}) == words


def test_memory_is_shown_with_its_peak():
    file = io.StringIO()
    for part in memory.render({**FITTED, "peak_children_rss_bytes": 1 << 20}, "consumer", 100):
        Console(file=file, width=200).print(part)
    text = file.getvalue()
    assert "memory of the consumer: grows by" in text
    assert "peak 60.0 MiB resident, its children 1.00 MiB; 50 samples during the load" in text


# The modes


@pytest.mark.parametrize(
    ("modes", "inside"),
    [
        (["resources", "none"], []),
        (["yappi", "resources"], ["yappi"]),
        (["memory", "stages", "resources"], ["stages"]),
    ],
)
def test_what_is_sampled_from_outside_goes_with_everything(modes, inside):
    assert [mode.name for mode in registry.load(modes)] == inside


def test_twice_is_still_refused():
    with pytest.raises(UsageError, match="given more than once"):
        registry.load(["memory", "memory"])


@pytest.mark.parametrize("mode", ["resources", "memory"])
def test_nothing_happens_in_the_measured_process(mode):
    assert registry.load([mode]) == []
    assert registry.load([mode, "stages"]) == registry.load(["stages"])
