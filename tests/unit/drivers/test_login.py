"""What the check before a run says to a broker is what oslo.messaging's driver says to it."""

import contextlib
import socket
import struct
import threading

import oslo_messaging
import pytest
from amqp.serialization import dumps, loads
from oslo_config import cfg
from oslo_messaging._drivers import common, impl_rabbit

from omrig.broker.amqp.connection import open_first
from omrig.drivers import configuration, options, settings
from omrig.drivers.configuration import Found
from omrig.model import redaction
from omrig.model.errors import UsageError
from omrig.model.plan import Plan, Where

START, START_OK, TUNE, OPEN = (10, 10), (10, 11), (10, 30), (10, 40)


class Door:
    """The beginning of an AMQP broker: it notes who comes with what, and lets nobody in."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.seen = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                peer, _ = self.server.accept()
            except OSError:
                return
            with peer, contextlib.suppress(OSError, struct.error):
                self._greet(peer)

    def _greet(self, peer):
        peer.recv(8)
        self._send(peer, START, "ooFSS", [0, 9, {}, "EXTERNAL PLAIN AMQPLAIN", "en_US"])
        mechanism, response = loads("FsS", self._receive(peer, START_OK), 0)[0][1:]
        self._send(peer, TUNE, "BlB", [2047, 131072, 0])
        vhost = loads("s", self._receive(peer, OPEN), 0)[0][0]
        self.seen.append((mechanism, response, vhost))

    def _send(self, peer, method, pattern, values):
        payload = struct.pack(">HH", *method) + dumps(pattern, values)
        peer.sendall(struct.pack(">BHI", 1, 0, len(payload)) + payload + b"\xce")

    def _receive(self, peer, wanted):
        """The arguments of the next frame with that method."""
        while True:
            kind, _, size = struct.unpack(">BHI", self._read(peer, 7))
            payload = self._read(peer, size + 1)[:-1]
            if kind == 1 and struct.unpack(">HH", payload[:4]) == wanted:
                return payload[4:]

    @staticmethod
    def _read(peer, count):
        data = b""
        while len(data) < count:
            piece = peer.recv(count - len(data))
            if not piece:
                raise OSError
            data += piece
        return data


@pytest.fixture
def door():
    door = Door()
    yield door
    door.server.close()


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    yield
    cfg.CONF.reset()
    redaction.forget()


@pytest.fixture
def configure(tmp_path):
    def configure(*lines):
        path = tmp_path / "f.conf"
        path.write_text("\n".join(["[DEFAULT]", "[oslo_messaging_rabbit]", *lines]) + "\n")
        plan = Plan(sides=("producer",), run_id="1", transport=Where(config_files=(str(path),)))
        return configuration.load(plan)

    return configure


def resolve(found, url):
    return settings.resolve(found, Found(url, "--transport-url", True))


def driver_at_the_door(conf, url):
    """Have the driver itself connect; whatever it makes of a door that stays shut."""
    parsed = oslo_messaging.TransportURL.parse(conf, url)
    transport = oslo_messaging.get_rpc_transport(conf, parsed)
    with pytest.raises(Exception):  # noqa: B017 - which one differs by version
        impl_rabbit.Connection(transport._driver.conf, parsed, common.PURPOSE_LISTEN, retry=0)


LOGINS = ["AMQPLAIN", "PLAIN", "EXTERNAL"]
URLS = [
    "rabbit://127.0.0.1:{port}/",
    "rabbit://localhost:{port}",
    "rabbit://u@127.0.0.1:{port}/",
    "rabbit://u:@127.0.0.1:{port}/",
    "rabbit://u:p@127.0.0.1:{port}//",
    "rabbit://u:p@127.0.0.1:{port}/%2F",
    "rabbit://u:p@127.0.0.1:{port}/%2Fnova",
    "rabbit://u:p@127.0.0.1:{port}/a%2Fb",
    "rabbit://u:p@127.0.0.1:{port}/a%3Fb",
    "rabbit://u:p@127.0.0.1:{port}/a%23b",
    "rabbit://u:p@127.0.0.1:{port}/a%25b",
    "rabbit://u:p@127.0.0.1:{port}/a%2541b",
    "rabbit://u:p%40q%3A%23%3F%25%20%2B%5B%C3%A9@127.0.0.1:{port}/v",
    "rabbit://u%40v%3Aw:p@127.0.0.1:{port}/v",
    "rabbit://u:p%2541q@127.0.0.1:{port}/v",
    "kombu+amqp://u:p@127.0.0.1:{port}/v",
    "rabbit://u:p@127.0.0.1:{port}/v?rabbit_login_method=PLAIN",
]


@pytest.mark.parametrize("url", URLS)
def test_the_check_says_what_the_driver_says(door, configure, url):
    """Mechanism, login and virtual host, to the byte."""
    for method in LOGINS if url == URLS[4] else LOGINS[:1]:
        door.seen.clear()
        found = configure(f"rabbit_login_method = {method}")
        at = url.format(port=door.port)
        driver_at_the_door(found.conf, at)
        theirs = door.seen[-1]
        with pytest.raises(UsageError):
            open_first(resolve(found, at).login, 2.0)
        assert door.seen[-1] == theirs
        assert theirs[0] == ("PLAIN" if "PLAIN" in at else method)


def test_the_vhost_that_is_shown_is_the_one_that_the_driver_uses(configure):
    found = configure()
    assert resolve(found, "rabbit://h/%2F").login.vhost == "/"
    assert resolve(found, "rabbit://h/nova").login.vhost == "nova"
    # A '#' ends kombu's address, however it was encoded in ours.
    assert resolve(found, "rabbit://h/a%23b").login.vhost == "a"


def test_a_password_that_the_driver_cannot_pass_on_is_refused_at_once(configure):
    with pytest.raises(UsageError) as error:
        resolve(configure(), "rabbit://slash:Zebra%2FQuagga@127.0.0.1:9/")
    line = str(error.value)
    assert "a password with '/' in it" in line
    assert "use another one" in line
    assert "Zebra" not in line
    assert error.value.__cause__ is None


@pytest.mark.parametrize(
    ("lines", "tls"),
    [
        ([], None),
        (["ssl = true"], {}),
        (["ssl = true", "ssl_cert_file = /c", "ssl_key_file = /k"], {"certfile", "keyfile"}),
        (["ssl = true", "ssl_ca_file = /ca"], {"ca_certs", "cert_reqs"}),
        (
            ["ssl = true", "ssl_ca_file = /ca", "ssl_enforce_hostname_verification = false"],
            {"ca_certs", "cert_reqs"},
        ),
    ],
)
def test_tls_is_asked_for_as_the_driver_does(configure, lines, tls):
    login = resolve(configure(*lines), "rabbit://u:p@h1:1/").login
    if tls is None:
        assert login.ssl_options is None
        return
    # Which host name is verified, and whether, is the version's own affair.
    assert set(login.ssl_options) - {"server_hostname"} == set(tls)


@pytest.mark.parametrize(
    ("lines", "query", "said"),
    [
        ([], "?rpc_conn_pool_size=1", "rpc_conn_pool_size: 1 must be greater than"),
        (["rpc_conn_pool_size = 1"], "", "rpc_conn_pool_size: 1 must be greater than"),
        (["rabbit_stream_fanout = true"], "", "rabbit_stream_fanout need"),
        (["rabbit_stream_fanout = true", "rabbit_qos_prefetch_count = 5"], "", "transient_quorum"),
        (["ssl = true", "ssl_version = tls9"], "", "Invalid SSL version : tls9"),
        (["ssl = Zebra"], "", "the value of [oslo_messaging_rabbit] ssl is none that it may have"),
        (
            [],
            "?rpc_conn_pool_size=Zebra",
            "rpc_conn_pool_size in the query is no whole number of 1 or more",
        ),
        ([], "?zebra_size=1", "has no option 'zebra_size'"),
        ([], "?Zebra@Quagga=1", "an '@' comes after the address"),
        ([], "?Zebra9=1", "has no option '***'"),
    ],
)
def test_a_contradiction_is_found_before_the_run(configure, lines, query, said):
    with pytest.raises(UsageError) as error:
        resolve(configure(*lines), f"rabbit://u:p@h/{query}")
    assert said in str(error.value)
    assert "Zebra" not in str(error.value).replace("'zebra_size'", "")


def test_every_option_of_the_query_takes_effect(configure):
    """Each that the driver has, with a value other than its own."""
    found = configure()
    usual = resolve(found, "rabbit://h/")
    kinds = {bool: "true", int: "7", float: "7.5", str: "text"}
    skipped = []
    for name, value in usual.options.items():
        given = {"kombu_failover_strategy": "shuffle", "rabbit_login_method": "PLAIN"}.get(
            name, kinds.get(type(value), "7")
        )
        if isinstance(value, float):
            given = "1.25"
        if name in ("rabbit_stream_fanout", "ssl_enforce_fips_mode"):
            skipped.append(name)
            continue
        if name == "rpc_conn_pool_size":
            given = "31"
        if value is True:
            given = "false"
        resolved = resolve(found, f"rabbit://h/?{name}={given}")
        full = f"[oslo_messaging_rabbit] {name}"
        assert str(resolved.options[name]).lower() == given.lower(), name
        assert resolved.settings[full].value == resolved.options[name]
        assert resolved.settings[full].source == "the query of the transport URL"
        assert settings.differing_options(resolved)[full] == resolved.options[name]
    # These contradict other options, or need a library that has FIPS.
    assert set(skipped) <= {"rabbit_stream_fanout", "ssl_enforce_fips_mode"}
    plan = Plan(sides=("producer",), run_id="1")
    small = resolve(found, "rabbit://h/?rpc_conn_pool_size=1&conn_pool_min_size=1")
    assert settings.pool_sizes(small, plan)["rpc_conn_pool_size"] == 1


@pytest.mark.parametrize(
    "line",
    [
        "direct_mandatory_flag = true",
        "ssl_enforce_hostname_verification = true",
        "heartbeat_in_pthread = true",
        "rabbit_ha_queues = true",
        "kombu_reconnect_timeout = 30",
        "amqp_durable_queues = true",
    ],
)
def test_options_that_services_run_with_are_no_reason_to_stop(configure, line):
    """Deprecated ones too: reading one must not make the driver's own registration differ."""
    found = configure(line)
    resolve(found, "rabbit://h/")
    assert resolve(found, "rabbit://h/").options


def test_unknown_options_are_named_without_their_values(configure):
    found = configure(
        "zebra_size = Invented99", "rabbit_qos_prefetch_count = 3", "kombu-reconnect-delay = 2"
    )
    unknown = options.unknown(found)
    assert unknown == [
        f"[oslo_messaging_rabbit] kombu-reconnect-delay ({found.files[0]})",
        f"[oslo_messaging_rabbit] zebra_size ({found.files[0]})",
    ]
    assert resolve(found, "rabbit://h/").options["kombu_reconnect_delay"] == 1.0


def test_all_settings_are_those_that_the_driver_resolves(configure):
    transport = resolve(configure("rabbit_qos_prefetch_count = 3"), "rabbit://h/?ssl=true")
    prefix = "[oslo_messaging_rabbit] "
    shown = {
        name.removeprefix(prefix).replace("-", "_"): setting.value
        for name, setting in transport.settings.items()
        if name.startswith(prefix)
    }
    assert shown == transport.options


@pytest.mark.parametrize("url", ["kafka://h/", "amqp://h/", "kombu://h/"])
def test_a_driver_without_rpc_or_library_is_refused_in_a_line(configure, url):
    with pytest.raises(UsageError, match="--transport-url: "):
        resolve(configure(), url)
