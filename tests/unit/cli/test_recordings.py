"""``omrig report`` of a recording of services: which one, which method, and what is refused."""

import json

import pytest

from omrig import cli
from omrig.model.service import ServiceResult
from tests import recorded
from tests.unit import refused
from tools import synthetic, synthetic_services

RESULT = synthetic_services.result()


def recording(folder, *, marked=True, counted=True):
    folder.mkdir(parents=True)
    if marked:
        (folder / "recording.json").write_text('{"schema": 1}')
    if counted:
        (folder / "result.json").write_text(json.dumps(RESULT.to_json()))
    return folder


@pytest.fixture
def services(tmp_path):
    """A folder of services with one recording."""
    (tmp_path / "maps.json").write_text("{}")
    recording(tmp_path / "rec-1")
    return tmp_path


def shown(capsys, *arguments):
    status = cli.main(["report", *map(str, arguments)])
    said = capsys.readouterr()
    return status, said.out, said.err


@pytest.mark.parametrize("name", ["rec-1", "."])
def test_a_recording_is_shown_by_its_own_name_or_that_of_its_only_folder(services, capsys, name):
    status, out, err = shown(capsys, services / name)
    assert (status, err) == (0, "")
    assert out.startswith("3 processes, 3,078 messages in 39.6 s")
    assert "cast mistral_engine on_action_complete" in out
    assert out.splitlines()[-1] == (
        f"method   omrig report {services / 'rec-1'}"
        " --method 'cast mistral_engine on_action_complete'"
    )


def test_a_result_alone_is_recognised(tmp_path, capsys):
    status, out, _ = shown(capsys, recording(tmp_path / "sent-to-me", marked=False))
    assert status == 0 and out.startswith("3 processes")


def test_one_method(services, capsys):
    status, out, _ = shown(capsys, services / "rec-1", "--method", "start_workflow")
    assert status == 0
    assert "call mistral_engine start_workflow: 505 messages" in out
    assert "on_action_complete" not in out


def test_an_unknown_method_is_refused_with_the_nearest(services, capsys):
    status, out, err = shown(capsys, services / "rec-1", "--method", "start_workflw")
    assert (status, out) == (2, "")
    assert err == (
        "omrig: --method: no method is called 'start_workflw' here; there is"
        " 'call mistral_engine start_workflow'\n"
    )


def test_a_method_that_is_like_none(services, capsys):
    status, _, err = shown(capsys, services / "rec-1", "--method", "zzzz")
    assert status == 2
    assert err.endswith("omrig report without --method names all\n") and err.count("\n") == 1


def test_json_is_the_result(services, capsys):
    status, out, _ = shown(capsys, services / "rec-1", "--json")
    assert status == 0
    assert ServiceResult.from_json(json.loads(out)) == RESULT
    _, out, _ = shown(capsys, services / "rec-1", "--json", "--method", "ping")
    assert [each["name"]["method"] for each in json.loads(out)] == ["ping"]


def test_the_page_is_drawn_anew(services, capsys):
    status, out, _ = shown(capsys, services / "rec-1", "--html")
    assert (status, out) == (0, f"{services / 'rec-1' / 'report.html'}\n")
    assert (services / "rec-1" / "report.html").read_text().startswith("<!doctype html>")
    _, out, _ = shown(capsys, services / "rec-1")
    assert f"page     {services / 'rec-1' / 'report.html'}" in out
    _, out, _ = shown(capsys, services / "rec-1", "--html", services / "other.html")
    assert out == f"{services / 'other.html'}\n" and (services / "other.html").exists()


def test_of_several_recordings_one_is_to_be_named(services, capsys):
    for number in (2, 10):
        recording(services / f"rec-{number}")
    status, out, err = shown(capsys, services)
    assert (status, out) == (2, "")
    assert err == (
        f"omrig: RUN: {services} has 3 recordings (rec-1, rec-2, rec-10); name one:"
        f" omrig report {services / 'rec-10'}\n"
    )


def test_a_folder_of_services_without_a_recording_says_how_to_make_one(tmp_path, capsys):
    (tmp_path / "maps.json").write_text("{}")
    status, _, err = shown(capsys, tmp_path)
    assert status == 2
    assert err == (
        f"omrig: RUN: {tmp_path} has no recording yet; make one: omrig record {tmp_path}\n"
    )


def test_any_other_folder_holds_no_run(tmp_path, capsys):
    status, _, err = shown(capsys, tmp_path)
    assert status == 2 and f"{tmp_path} holds no run" in err


def test_a_recording_is_shown_alone(services, capsys):
    recording(services / "rec-2")
    status, _, err = shown(capsys, services / "rec-1", services / "rec-2")
    assert status == 2
    assert "is shown alone; omrig compare DIR/rec-1 DIR/rec-2" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--csv", "stages"], "--csv: "),
        (["--html", "--shared-assets"], "--shared-assets: "),
        (["--html", "--method", "ping"], "--method: the page has every method"),
    ],
)
def test_what_a_recording_has_not(services, capsys, arguments, said):
    status, out, err = shown(capsys, services / "rec-1", *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"omrig: {said}") and err.count("\n") == 1


@pytest.mark.parametrize(
    "text", ["{", '{"kind": "services", "schema": 99}', '{"kind": "services"}']
)
def test_a_result_that_is_none_is_one_line(services, capsys, text):
    (services / "rec-1" / "result.json").write_text(text)
    status, _, err = shown(capsys, services / "rec-1")
    assert status == 2
    assert err.startswith(f"omrig: RUN: {services / 'rec-1' / 'result.json'} cannot be read (")
    assert err.count("\n") == 1


def test_a_run_has_no_methods(tmp_path, capsys):
    synthetic.write(tmp_path / "run", 50)
    status, _, err = shown(capsys, tmp_path / "run", "--method", "ping")
    assert status == 2
    assert err == "omrig: --method: a run has no methods, only a recording of services has\n"


def test_what_was_not_accounted_for_is(tmp_path, capsys):
    folder = recorded.example(tmp_path)
    status, out, err = shown(capsys, folder, "--json")
    assert (status, err) == (0, "")
    kept = json.loads((folder / "result.json").read_text())
    assert json.loads(out) == kept
    assert ServiceResult.from_json(kept).called("change_power")
    for name in ("result.json", "report.html"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    (folder / "recording.json").unlink()
    status, out, _ = shown(capsys, folder)
    assert status == 0 and "call conductor change_power" in out


def test_what_cannot_be_kept_is_shown_all_the_same(tmp_path, capsys):
    folder = recorded.example(tmp_path)
    with refused.limited_files(100):
        status, out, err = shown(capsys, folder)
    assert status == 0 and "call conductor change_power" in out
    assert err.startswith("omrig: not kept with the recording: result.json")
    assert err.count("\n") == 1
    assert not (folder / "result.json").exists()


def test_what_is_under_way_is_shown_and_not_kept(tmp_path, capsys):
    folder = recorded.example(tmp_path)
    about = json.loads((folder / "recording.json").read_text())
    (folder / "recording.json").write_text(
        json.dumps({**about, "ended_ns": None, "complete": False, "reason": "it is under way"})
    )
    status, out, err = shown(capsys, folder)
    assert (status, err) == (0, "")
    assert "! incomplete: it is under way" in out and "results " not in out
    assert not (folder / "result.json").exists() and not (folder / "report.html").exists()


def test_no_command_is_made_of_a_name_that_cannot_be_copied(tmp_path, capsys):
    folder = recording(tmp_path / "rec-1", counted=False)
    text = json.dumps(RESULT.to_json()).replace("on_action_complete", "\\u001b[2Jping")
    (folder / "result.json").write_text(text)
    status, out, _ = shown(capsys, folder)
    assert status == 0
    assert "\x1b" not in out and "method   omrig report" not in out
    _, out, err = shown(capsys, folder, "--method", "\x1b[2Jpin")
    assert "\x1b" not in err and "\\x1b[2Jping" in err
