"""Where the transport comes from, and what is said when it is wrong."""

import pytest
from oslo_config import cfg

from omrig import settings
from omrig.errors import UsageError
from omrig.plan import Plan


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))

    def load(**options):
        plan = Plan(sides=("producer",), run_id="1", **options)
        return settings.load(plan), plan

    yield load
    cfg.CONF.reset()


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def test_nothing_configured_gives_no_url(load):
    conf, plan = load()
    assert settings.transport_url(conf, plan) is None


def test_the_service_s_own_file_is_found(load, tmp_path):
    write(tmp_path / ".nova/nova.conf", "[DEFAULT]\ntransport_url = rabbit://u:pw@found/\n")
    conf, plan = load()
    assert settings.transport_url(conf, plan) == "rabbit://u:pw@found/"


def test_another_service(load, tmp_path):
    write(tmp_path / ".nova/nova.conf", "[DEFAULT]\ntransport_url = rabbit://nova/\n")
    write(tmp_path / ".cinder/cinder.conf", "[DEFAULT]\ntransport_url = rabbit://cinder/\n")
    conf, plan = load(project="cinder")
    assert settings.transport_url(conf, plan) == "rabbit://cinder/"


def test_file_then_folder_then_url_override_in_that_order(load, tmp_path):
    write(tmp_path / ".nova/nova.conf", "[DEFAULT]\ntransport_url = rabbit://found/\n")
    file = write(tmp_path / "f.conf", "[DEFAULT]\ntransport_url = rabbit://file/\n")
    write(tmp_path / "d/x.conf", "[DEFAULT]\ntransport_url = rabbit://dir/\n")
    conf, plan = load(config_files=(file,))
    assert settings.transport_url(conf, plan) == "rabbit://file/"
    conf, plan = load(config_files=(file,), config_dirs=(str(tmp_path / "d"),))
    assert settings.transport_url(conf, plan) == "rabbit://dir/"
    conf, plan = load(config_files=(file,), transport_url="rabbit://option/")
    assert settings.transport_url(conf, plan) == "rabbit://option/"


def test_rabbit_options_and_timeout_take_effect(load, tmp_path):
    text = (
        "[DEFAULT]\nrpc_response_timeout = 7\n[oslo_messaging_rabbit]\nssl = true\n"
        "ssl_ca_file = /ca.pem\nrabbit_qos_prefetch_count = 3\n"
    )
    conf, plan = load(config_files=(write(tmp_path / "f.conf", text),))
    transport = settings.parse_transport(conf, plan, "rabbit://u:pw@h:5671/", "--transport-url")
    assert transport.login.ssl_options["ca_certs"] == "/ca.pem"
    assert transport.login.ssl_options["server_hostname"] == "h"
    differing = settings.differing_options(conf)
    assert differing["rpc_response_timeout"] == 7
    assert differing["[oslo_messaging_rabbit] rabbit_qos_prefetch_count"] == 3


def test_several_hosts(load):
    conf, plan = load()
    url = "rabbit://u:secret1@h1:5672,u:secret2@h2:5673/vh"
    transport = settings.parse_transport(conf, plan, url, "--transport-url")
    assert [(e.host, e.port) for e in transport.login.endpoints] == [("h1", 5672), ("h2", 5673)]
    assert transport.login.vhost == "vh"
    assert "secret" not in transport.redacted + repr(transport)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "not a transport URL"),
        ("rabbit://u:secretpw@h:port/", "not a transport URL"),
        ("rabbit://u:secretpw@h:99999/", "port 99999"),
        ("rabit://h/", "unknown driver 'rabit'.*rabbit"),
        ("fake://host/", "takes no host"),
    ],
)
def test_a_wrong_url_is_named_without_its_password(load, url, said):
    conf, plan = load()
    with pytest.raises(UsageError, match=said) as error:
        settings.parse_transport(conf, plan, url, "--transport-url")
    assert str(error.value).startswith("--transport-url: ")
    assert "secretpw" not in str(error.value)


@pytest.mark.parametrize("text", ["no section\n", "[DEFAULT]\nrpc_response_timeout = soon\n"])
def test_a_malformed_file_is_named(load, tmp_path, text):
    file = write(tmp_path / "bad.conf", text)
    with pytest.raises(UsageError, match="--config-file"):
        conf, _ = load(config_files=(file,))
        settings.differing_options(conf)


def test_missing_files_are_named(load, tmp_path):
    with pytest.raises(UsageError, match=r"--config-file: /absent\.conf"):
        load(config_files=("/absent.conf",))
    with pytest.raises(UsageError, match="--config-dir: /absent"):
        load(config_dirs=("/absent",))
