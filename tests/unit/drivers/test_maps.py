"""Stage maps: against the packages that are installed, and against users' mistakes."""

import io
import subprocess
import sys
from importlib import metadata

import pytest

from omrig.drivers import maps
from omrig.model import stage_map
from omrig.model.actions import FORMS
from omrig.model.errors import UsageError
from omrig.model.stages import BY_NAME
from omrig.model.transport import MEMORY
from omrig.report.terminal import targets

MAP = """
schema = 3
name = "mine"
title = "my own"
package = "kombu"
"""

DRIVER = """
schemes = ["mine"]
patterns = ["call", "cast"]
broker = "amqp"
"""

PROBE = """
[[probe]]
function = "kombu.messaging:Producer.publish"
stamp = { enter = "send" }
"""


def _resolve(text):
    return maps.resolve([maps.parse(text, "mine.toml")])


@pytest.mark.parametrize("name", maps.known())
def test_every_function_of_every_map_is_installed(name):
    stage_map = maps.known()[name]
    sites, missing = maps.resolve([stage_map])
    assert missing == []
    assert len(sites) == len(stage_map.probes)
    assert stage_map.probes or stage_map.broker == MEMORY
    assert all(callable(getattr(site.owner, site.name)) for site in sites)


@pytest.mark.parametrize("name", maps.known())
def test_every_module_of_every_map_is_installed(name):
    import importlib

    for module in maps.known()[name].modules:
        importlib.import_module(module)


def test_rabbit_s_maps_use_every_action_and_tell_every_stage():
    used = [probe for stage_map in maps.for_scheme("rabbit") for probe in stage_map.probes]
    assert {probe.action.name for probe in used} == FORMS.keys()
    told = {stage for probe in used for stage in probe.stages}
    assert told == BY_NAME.keys()


def test_maps_are_chosen_by_scheme_with_what_they_require():
    names = [each.name for each in maps.for_scheme("rabbit")]
    assert sorted(names) == ["amqp", "amqpdriver", "executor", "impl_rabbit", "kombu", "notify"]
    assert maps.for_scheme("nothing") == []


def test_a_user_s_map_is_used_whatever_the_scheme():
    mine = maps.parse(MAP + 'requires = ["executor"]', "mine.toml")
    assert [each.name for each in maps.for_scheme("nothing", [mine])] == ["mine", "executor"]


@pytest.mark.parametrize("schema", [1, 2, 4])
def test_another_schema_is_refused_before_anything_else(schema):
    text = MAP.replace("schema = 3", f"schema = {schema}") + '[[probe]]\nkind = "send"\n'
    with pytest.raises(UsageError, match=f"schema: {schema} is not 3, in which a probe says what"):
        maps.parse(text, "mine.toml")


def test_a_map_says_what_driver_it_is_for():
    mine = maps.parse(MAP + DRIVER, "mine.toml")
    assert (mine.schemes, mine.patterns, mine.broker) == (("mine",), ("call", "cast"), "amqp")


def test_an_unknown_requirement_names_the_map():
    mine = maps.parse(MAP + 'requires = ["nowhere"]', "mine.toml")
    with pytest.raises(UsageError, match="stage map mine: requires: no map named 'nowhere'"):
        maps.for_scheme("rabbit", [mine])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schema = ", "mine.toml: "),
        (MAP.replace("schema = 3", 'schema = "1"'), "mine.toml: schema: '1' is not of type int"),
        (MAP.replace('title = "my own"', ""), "mine.toml: title: missing"),
        (MAP + "modul = []", "mine.toml: modul: unknown key; known are schema, name"),
        (MAP + 'schemes = "rabbit"', "mine.toml: schemes: 'rabbit' is not of type list"),
        (MAP + 'broker = "amqp"', "mine.toml: broker: needs schemes"),
        (MAP + DRIVER.replace('broker = "amqp"', ""), "mine.toml: broker: missing beside schemes"),
        (
            MAP + DRIVER.replace('"amqp"', '"qpid"'),
            "mine.toml: broker: unknown 'qpid'; known are amqp, kafka, memory",
        ),
        (
            MAP + DRIVER.replace('"cast"', '"shout"'),
            "mine.toml: patterns: unknown 'shout'; known are call, cast, fanout, notify",
        ),
        (
            MAP + PROBE.replace("stamp =", "stump ="),
            "mine.toml: probe 1: stump: unknown key; known are function, stamp, span",
        ),
        (
            MAP + PROBE.replace('stamp = { enter = "send" }\n', ""),
            "mine.toml: probe 1: action: missing; give one of stamp, span, adopt",
        ),
        (
            MAP + PROBE + 'span = { sum = "json_out" }',
            "mine.toml: probe 1: action: stamp and span are given; give one of",
        ),
        (
            MAP + PROBE.replace('"send"', '"sent"'),
            "mine.toml: probe 1: stamp.enter: 'sent' is not a column",
        ),
        (
            MAP + PROBE.replace("enter", "inter"),
            "mine.toml: probe 1: stamp.inter: unknown key; known are enter, first, exit",
        ),
        (MAP + PROBE.replace('stamp = { enter = "send" }', "span = {}"), "span.sum: missing"),
        (
            MAP + PROBE.replace('stamp = { enter = "send" }', 'note = { event = "broken" }'),
            "note.event: unknown 'broken'; known are blocked, unblocked",
        ),
        (
            MAP + PROBE.replace('stamp = { enter = "send" }', 'receive = { link = "a..b" }'),
            "receive.link: 'a..b' is not a parameter of the function and what it leads to",
        ),
        (
            MAP + PROBE.replace('stamp = { enter = "send" }', 'receive = { link = "a[*]" }'),
            "receive.link: 'a[*]' is not a parameter of the function and what it leads to",
        ),
        (
            MAP
            + PROBE.replace(
                'stamp = { enter = "send" }', 'carry = { by = "a.b[*]", enter = "put" }'
            ),
            "carry.by: 'a.b[*]' is not a parameter of the function and what it leads to",
        ),
        (
            MAP + PROBE.replace('stamp = { enter = "send" }', 'open = { on = "a.b", id = ["c"] }'),
            "open.on: 'a.b' is not a parameter of the function",
        ),
        (
            MAP + PROBE.replace('stamp = { enter = "send" }', 'open = { on = "a", id = [] }'),
            "open.id: [] is not parameters of the function",
        ),
        (
            MAP + PROBE + PROBE.replace("messaging:", "messaging."),
            "mine.toml: probe 2: function: 'kombu.messaging.Producer.publish' is not module:",
        ),
        (MAP + PROBE + 'versions = "new"', "mine.toml: probe 1: versions: "),
        (MAP + PROBE + "version = 1", "mine.toml: probe 1: version: unknown key"),
    ],
)
def test_errors_name_the_file_and_the_key(text, said):
    with pytest.raises(UsageError) as caught:
        maps.parse(text, "mine.toml")
    assert said in str(caught.value)
    assert str(caught.value).startswith("stage map ")


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(UsageError, match=r"--target: .*nowhere.toml: No such file or directory"):
        maps.read(str(tmp_path / "nowhere.toml"))


def test_a_user_s_file_is_read(tmp_path):
    (tmp_path / "mine.toml").write_text(MAP + PROBE)
    (probe,) = maps.read(str(tmp_path / "mine.toml")).probes
    assert (probe.action.name, probe.package) == ("stamp", "kombu")
    assert probe.stages == ("api", "publish", "publish_stall")


@pytest.mark.parametrize(
    "function", ["kombu.messaging:Producer.gone", "kombu.messaging:Gone.publish", "kombu.gone:f"]
)
def test_a_missing_function_is_reported_with_its_stages(function):
    probe = PROBE.replace("kombu.messaging:Producer.publish", function)
    sites, missing = _resolve(MAP + probe)
    version = metadata.version("kombu")
    assert sites == []
    assert missing == [
        f"stages api, publish, publish_stall not measured with kombu {version}:"
        f" function {function} is missing"
    ]


def test_an_inherited_function_is_not_taken_for_the_class_s_own():
    # Wrapped where it is found, it would be wrapped for the other classes, too.
    probe = PROBE.replace("kombu.messaging:Producer.publish", "amqp.transport:TCPTransport.close")
    sites, missing = _resolve(MAP.replace("kombu", "amqp") + probe)
    assert sites == []
    assert len(missing) == 1


@pytest.mark.parametrize(("inner", "found"), [("on_error", 1), ("on_reconnection", 1), ("gone", 0)])
def test_a_function_within_a_function_is_found_in_its_code(inner, found):
    name = f"oslo_messaging._drivers.impl_rabbit:Connection.ensure.<locals>.{inner}"
    probe = PROBE.replace("kombu.messaging:Producer.publish", name)
    sites, missing = _resolve(MAP.replace("kombu", "oslo.messaging") + probe)
    assert (len(sites), len(missing)) == (found, 1 - found)


def test_a_package_that_is_not_installed_is_reported():
    sites, missing = _resolve(MAP.replace('"kombu"', '"nowhere"') + PROBE)
    assert sites == []
    assert missing == [
        "stages api, publish, publish_stall not measured: package nowhere is not installed"
    ]


def test_a_probe_is_for_the_versions_that_it_names():
    gone = PROBE.replace("publish", "gone")
    assert _resolve(MAP + gone + 'versions = "<0.1"') == ([], [])
    sites, missing = _resolve(MAP + PROBE + 'versions = ">=1"')
    assert (len(sites), missing) == (1, [])


@pytest.mark.parametrize(
    ("probe", "state"),
    [
        (PROBE, stage_map.INSTALLED),
        (PROBE.replace("publish", "gone"), stage_map.MISSING),
        (PROBE + 'versions = "<0.1"', stage_map.OTHER_VERSION),
    ],
)
def test_targets_says_what_is_there(probe, state):
    parsed = maps.parse(MAP + probe, "mine.toml")
    found = maps.installed(parsed)
    assert found.states == (state,)
    file = io.StringIO()
    targets.show([found], file)
    assert f"mine  my own; kombu {metadata.version('kombu')}" in file.getvalue()
    assert state in file.getvalue()


def test_targets_lists_functions_and_stages():
    file = io.StringIO()
    targets.show([maps.installed(each) for each in maps.known().values()], file)
    text = file.getvalue()
    for known in maps.known().values():
        for probe in known.probes:
            assert probe.function.partition(":")[2] in text
    assert "missing" not in text


def _targets(*arguments):
    command = [sys.executable, "-m", "omrig", "targets", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_command_shows_a_user_s_file(tmp_path):
    (tmp_path / "mine.toml").write_text(MAP + PROBE)
    done = _targets("--target", tmp_path / "mine.toml")
    assert (done.returncode, done.stderr) == (0, "")
    assert "impl_rabbit" in done.stdout
    assert "Producer.publish" in done.stdout


def test_the_command_names_what_is_wrong_in_a_user_s_file(tmp_path):
    (tmp_path / "mine.toml").write_text(MAP + PROBE.replace("send", "sent"))
    done = _targets("--target", tmp_path / "mine.toml")
    assert done.returncode == 2
    assert f"{tmp_path}/mine.toml: probe 1: stamp.enter: 'sent' is not a column" in done.stderr
    assert done.stdout == ""
