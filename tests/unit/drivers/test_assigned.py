"""``--set``: checked against the options of oslo.messaging, and in force above everything else."""

import pytest
from oslo_config import cfg

from omrig.drivers import assigned, configuration, settings
from omrig.model import interpreter, redaction
from omrig.model.errors import UsageError
from omrig.model.plan import Plan, Where

VARIABLE = "OS_OSLO_MESSAGING_RABBIT__RABBIT_QOS_PREFETCH_COUNT"
PREFETCH = "[oslo_messaging_rabbit] rabbit_qos_prefetch_count"
SECRET = "oslo_messaging_kafka.ssl_client_key_password=geheimnis,/vx"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(VARIABLE, raising=False)
    yield
    cfg.CONF.reset()
    assigned.put_in(cfg.CONF, [], True)
    redaction.forget()


def resolved(*given, **options):
    plan = Plan(
        sides=("producer",),
        run_id="1",
        transport=Where(url="rabbit://here/", assigned=given, **options),
    )
    found = configuration.load(plan)
    return settings.resolve(found, configuration.find_url(found, plan))


def refusal(*given):
    with pytest.raises(UsageError) as error:
        resolved(*given)
    return str(error.value)


@pytest.mark.parametrize("group", ["", "oslo_messaging_rabbit."])
def test_an_option_is_in_force_for_the_driver_and_told_with_its_source(group):
    found = resolved(f"{group}rabbit_quorum_queue=true", "rpc_response_timeout=7")
    assert found.options["rabbit_quorum_queue"] is True
    told = settings.with_sources(found, Plan(sides=("producer",), run_id="1"))
    there = {name: (each.value, each.source) for name, each in told.items()}
    assert there["[oslo_messaging_rabbit] rabbit_quorum_queue"] == (True, "--set")
    assert there["rpc_response_timeout"] == (7, "--set")
    assert settings.differing_options(found) == {
        "[oslo_messaging_rabbit] rabbit_quorum_queue": True,
        "rpc_response_timeout": 7,
    }


def test_it_outranks_files_and_the_environment_and_the_last_one_counts(tmp_path, monkeypatch):
    file = tmp_path / "f.conf"
    file.write_text(
        "[oslo_messaging_rabbit]\nrabbit_qos_prefetch_count = 1\nrpc_conn_pool_size = 4\n"
    )
    monkeypatch.setenv(VARIABLE, "2")
    given = "rabbit_qos_prefetch_count=3", "rabbit-qos-prefetch-count=4"
    found = resolved(*given, config_files=(str(file),))
    assert found.options["rabbit_qos_prefetch_count"] == 4
    assert found.options["rpc_conn_pool_size"] == 4
    assert (found.settings[PREFETCH].value, found.settings[PREFETCH].source) == (4, "--set")
    # What is not set comes from where it came before.
    assert resolved(config_files=(str(file),)).options["rabbit_qos_prefetch_count"] == 1
    assert resolved("rpc_conn_pool_size=5").options["rabbit_qos_prefetch_count"] == 2


def test_only_named_files_count_beside_it_where_a_file_is_named(tmp_path, monkeypatch):
    file = tmp_path / "f.conf"
    file.write_text("[oslo_messaging_rabbit]\n")
    monkeypatch.setenv(VARIABLE, "2")
    found = resolved("rpc_conn_pool_size=5", config_files=(str(file),))
    assert found.options["rabbit_qos_prefetch_count"] == 0


def test_a_measured_process_has_it_too(monkeypatch):
    monkeypatch.setenv(VARIABLE, "2")
    sent = Plan(
        sides=("producer",),
        run_id="1",
        transport=Where(
            url="rabbit://here/",
            assigned=("rpc_conn_pool_size=5",),
            environment=interpreter.option_variables(),
            is_resolved=True,
        ),
    )
    got = Plan.from_json(sent.to_json())
    found = configuration.load(got)
    options = settings.resolve(found, configuration.find_url(found, got)).options
    assert (options["rpc_conn_pool_size"], options["rabbit_qos_prefetch_count"]) == (5, 2)


def test_an_option_that_takes_several_is_given_several_times():
    given = [f"oslo_messaging_notifications.driver={name}" for name in ("noop", "log")]
    found = resolved(*given)
    assert found.settings["[oslo_messaging_notifications] driver"].value == ["noop", "log"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("rabbit_qorum_queue=true", "the nearest: [oslo_messaging_rabbit] rabbit_quorum_queue"),
        ("oslo_messaging_rabbit.topics=a", "no option 'topics' in [oslo_messaging_rabbit]"),
        ("rabbit.rabbit_quorum_queue=true", "no group 'rabbit'; there are DEFAULT, oslo_"),
        ("sasl_passwd=geheimnis", "no option 'sasl_passwd'"),
        ("rabbit_quorum_queue=perhaps", "rabbit_quorum_queue takes true or false"),
        ("rabbit_qos_prefetch_count=many", "takes a whole number"),
        ("rpc_conn_pool_size=0", "takes a whole number of 1 or more"),
        ("kombu_missing_consumer_retry_timeout=x", "takes a whole number"),
        ("kombu_failover_strategy=x", "takes one of round-robin, shuffle"),
        ("DEFAULT.transport_url=rabbit://a:geheimnis@b/", "give it with --transport-url"),
        ("processname=nova", "a run is itself, and no service"),
        ("rabbit_quorum_queue", "give [GROUP.]OPTION=VALUE"),
        ("rabbit://a:geheimnis@b/?a=b", "give [GROUP.]OPTION=VALUE"),
    ],
)
def test_what_cannot_be_set_is_refused_with_what_would_do(given, said):
    told = refusal(given)
    assert told.startswith("--set: ")
    assert said in told
    assert "geheimnis" not in told
    assert "\n" not in told


def test_a_name_that_several_groups_have_wants_its_group(monkeypatch):
    there = [("here", cfg.IntOpt("size")), ("there", cfg.IntOpt("size"))]
    monkeypatch.setattr(assigned.known, "options", lambda: [(g, [each]) for g, each in there])
    with pytest.raises(UsageError, match=r"in several groups; write here\.size or there\.size"):
        assigned.parse(["size=1"])
    assert assigned.parse(["there.size=1"])[0].group == "there"


def test_a_former_name_leads_to_the_one_of_today(monkeypatch):
    option = cfg.IntOpt("width", deprecated_name="breadth")
    monkeypatch.setattr(assigned.known, "options", lambda: [("here", [option])])
    with pytest.raises(UsageError, match=r"no option 'breadth'; the nearest: \[here\] width"):
        assigned.parse(["breadth=1"])


def test_a_password_is_told_nowhere():
    found = resolved(SECRET)
    assert "geheimnis" not in repr(found)
    assert redaction.redact("so geheimnis,/vx it is") == "so *** it is"
    plan = Plan(sides=("producer",), run_id="1", transport=Where(assigned=(SECRET,)))
    assert "geheimnis" not in repr(plan)
    assert "geheimnis" not in str(plan.public())
    assert "geheimnis" not in repr(assigned.parse([SECRET]))


def test_what_files_say_can_be_carried_to_where_they_are_not(tmp_path):
    file = tmp_path / "nova.conf"
    file.write_text(
        "[DEFAULT]\ntransport_url = rabbit://here/\nrpc_response_timeout = 7\n"
        "[oslo_messaging_rabbit]\nrabbit_qos_prefetch_count = 3\nrabbit_quorum_queue = true\n"
        "hostname = the-service\nssl_ca_file = /a,b$$c\n"
        "[oslo_messaging_notifications]\ndriver = messagingv2\ndriver = log\ntopics = a,b\n"
    )
    options = {"config_files": (str(file),)}
    given = "oslo_messaging_rabbit.rabbit_retry_interval=2"
    there = resolved(given, **options)
    where = Where(assigned=(given,), **options)
    found = configuration.load(Plan(sides=("producer",), run_id="1", transport=where))
    carried = configuration.carried(found)
    assert sorted(carried) == [
        "DEFAULT.rpc_response_timeout=7",
        "oslo_messaging_notifications.driver=log",
        "oslo_messaging_notifications.driver=messagingv2",
        "oslo_messaging_notifications.topics=a,b",
        "oslo_messaging_rabbit.rabbit_qos_prefetch_count=3",
        "oslo_messaging_rabbit.rabbit_quorum_queue=True",
        "oslo_messaging_rabbit.rabbit_retry_interval=2",
        "oslo_messaging_rabbit.ssl_ca_file=/a,b$$c",
    ]
    cfg.CONF.reset()
    here = resolved(*carried)
    assert here.options == there.options
    assert settings.differing_options(here) == settings.differing_options(there)
