"""The embedded RabbitMQ, the check before a run and the clean-up after it, on the real thing."""

import importlib
import json
import os
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import amqp
import psutil
import pytest

from omrig.broker.amqp import cleanup, preflight, reaching
from omrig.broker.base import QueueState
from omrig.broker.rabbitmq import installed
from omrig.broker.rabbitmq.embedded import embedded_broker
from omrig.model.declared import Thing
from omrig.model.errors import RunError, UsageError
from omrig.model.transport import Endpoint, Login
from tests.rabbitmqctl import control

GONE_SECONDS = 20.0
HOLDER = """
import os, sys, time
from omrig.broker.rabbitmq.embedded import embedded_broker
with embedded_broker() as broker:
    if "fork" in sys.argv and os.fork() == 0:
        time.sleep(600)
    print(broker.beam_pid, broker.data_dir, flush=True)
    time.sleep(600)
"""


def endpoint_of(broker) -> Endpoint:
    url = urlsplit(broker.url)
    return Endpoint(url.hostname, url.port, url.username, url.password)


def below(pid: int) -> set[psutil.Process]:
    """The launcher, the broker, the port mapper and their helpers: psutil knows a reused pid."""
    return set(psutil.Process(pid).children(recursive=True))


def assert_gone(processes: set[psutil.Process], folder: Path) -> None:
    assert processes
    end = time.monotonic() + GONE_SECONDS
    while time.monotonic() < end:
        alive = [
            process
            for process in processes
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        ]
        if not alive and not folder.exists():
            return
        time.sleep(0.1)
    pytest.fail(f"left behind: {alive}, {folder} exists: {folder.exists()}")


@pytest.fixture(scope="module")
def broker():
    with embedded_broker() as running:
        yield running


@pytest.fixture(scope="module")
def tls_broker():
    with embedded_broker(tls=True) as running:
        yield running


@pytest.fixture
def channel(broker):
    connection = connect(broker)
    yield connection.channel()
    connection.collect()


def connect(broker) -> amqp.Connection:
    endpoint = endpoint_of(broker)
    connection = amqp.Connection(
        endpoint.address, userid=endpoint.username, password=endpoint.password, connect_timeout=10
    )
    connection.connect()
    return connection


def failure(endpoints, vhost="/", ssl_options=None) -> str:
    started = time.monotonic()
    with pytest.raises(UsageError) as caught:
        preflight.check(Login(endpoints, vhost, ssl_options))
    assert time.monotonic() - started < 15
    text = str(caught.value)
    assert "\n" not in text
    assert not any(endpoint.password in text for endpoint in endpoints)
    return text


def test_up_and_described(broker):
    info = preflight.check(Login([endpoint_of(broker)]))
    assert info.product == "RabbitMQ"
    assert info.version[0].isdigit()
    assert info.platform.startswith("Erlang")
    assert info.cluster_name == "omrig-embedded"
    assert (info.host, info.port, info.vhost) == (broker.host, broker.port, "/")
    assert broker.is_alive()
    assert reaching.reachable([endpoint_of(broker)])


def test_carries_messages(channel):
    channel.queue_declare("carry", auto_delete=True)
    channel.basic_publish(amqp.Message("hello"), routing_key="carry")
    end = time.monotonic() + 10
    while (message := channel.basic_get("carry", no_ack=True)) is None and time.monotonic() < end:
        time.sleep(0.01)
    assert message.body == "hello"


def test_bad_credentials(broker):
    text = failure([replace(endpoint_of(broker), password="not-the-password")])
    assert "refused user 'omrig' or the password" in text


def test_no_default_user(broker):
    text = failure([replace(endpoint_of(broker), username="guest", password="guest-guest")])
    assert "refused user 'guest'" in text
    with pytest.raises(UsageError):
        preflight.check(Login([replace(endpoint_of(broker), username="guest", password="guest")]))


def test_missing_vhost(broker):
    assert "has no virtual host 'nowhere'" in failure([endpoint_of(broker)], vhost="nowhere")


def test_second_host_answers(broker):
    dead = replace(endpoint_of(broker), port=1)
    assert preflight.check(Login([dead, endpoint_of(broker)])).port == broker.port


def test_tls_verified(tls_broker):
    options = {
        "ca_certs": str(tls_broker.ca_file),
        "cert_reqs": ssl.CERT_REQUIRED,
        "server_hostname": None,
    }
    assert (
        preflight.check(Login([endpoint_of(tls_broker)], ssl_options=options)).product == "RabbitMQ"
    )
    by_name = replace(endpoint_of(tls_broker), host="localhost")
    assert preflight.check(Login([by_name], ssl_options=options)).host == "localhost"


def test_tls_unverified(tls_broker):
    options = {"cert_reqs": ssl.CERT_NONE}
    assert (
        preflight.check(Login([endpoint_of(tls_broker)], ssl_options=options)).product == "RabbitMQ"
    )


# Without options py-amqp trusts the system's authorities, and so does the driver.
@pytest.mark.parametrize("ssl_options", [{}, {"cert_reqs": ssl.CERT_REQUIRED}])
def test_tls_not_trusted(tls_broker, ssl_options):
    text = failure([endpoint_of(tls_broker)], ssl_options=ssl_options)
    assert "TLS certificate not trusted" in text
    assert "ssl_ca_file" in text


def test_tls_port_spoken_to_in_plain(tls_broker):
    assert "speaks TLS" in failure([endpoint_of(tls_broker)])


def test_plain_port_spoken_to_with_tls(broker):
    assert "speaks plain AMQP" in failure([endpoint_of(broker)], ssl_options={})


TYPES = {
    "classic": {"durable": False},
    "durable": {"durable": True},
    "quorum": {"durable": True, "arguments": {"x-queue-type": "quorum"}},
    "stream": {"durable": True, "arguments": {"x-queue-type": "stream"}},
}


def queue(name, is_own=True):
    return Thing("queue", name, is_own)


def exchange(name, is_own=True):
    return Thing("exchange", name, is_own)


def test_cleanup_deletes_what_is_ours_and_unused(broker, channel):
    for kind, how in TYPES.items():
        for name in ("idle", "busy"):
            channel.queue_declare(f"{kind}-{name}", auto_delete=False, **how)
        channel.basic_publish(amqp.Message("left over"), routing_key=f"{kind}-idle")
        channel.basic_qos(0, 1, False)
        channel.basic_consume(f"{kind}-busy")
    channel.queue_declare("other", auto_delete=False)
    for name in ("ex-idle", "ex-bound", "ex-shared", "ex-other"):
        channel.exchange_declare(name, "topic", auto_delete=False, durable=True)
    for name in ("ex-bound", "ex-shared"):
        channel.queue_bind("other", name, "#")
    channel.queue_bind("quorum-idle", "ex-idle", "#")

    login = Login([endpoint_of(broker)])
    assert preflight.state(login, "classic-idle") == QueueState(0, 1)
    assert preflight.state(login, "classic-busy") == QueueState(1, 0)
    assert preflight.state(login, "never-was") is None
    left = cleanup.remove(
        Login([endpoint_of(broker)]),
        [
            exchange("ex-bound"), exchange("ex-idle"), exchange("never-was-either"),
            exchange("ex-shared", is_own=False), queue("other", is_own=False), queue("never-was"),
            *(queue(f"{kind}-{name}") for kind in TYPES for name in ("busy", "idle")),
        ],
    )  # fmt: skip

    # A stream does not tell of its consumers.
    busy = [f"{kind}-busy" for kind in TYPES if kind != "stream"]
    assert [each.thing.name for each in left] == [*busy, "ex-bound", "other"]
    assert "1 other consumes it" in left[0].reason
    survivors = connect(broker)
    for name in ("other", *busy):
        survivors.channel().queue_declare(name, passive=True)
    for name in ("ex-bound", "ex-other", "ex-shared"):
        survivors.channel().exchange_declare(name, "topic", passive=True)
    for kind in TYPES:
        with pytest.raises(amqp.NotFound):
            survivors.channel().queue_declare(f"{kind}-idle", passive=True)
    with pytest.raises(amqp.NotFound):
        survivors.channel().exchange_declare("ex-idle", "topic", passive=True)
    # The names are free again once nobody consumes, however short that is ago.
    channel.connection.collect()
    mine = [queue(name) for name in ("other", *busy)]
    mine += [exchange(name) for name in ("ex-bound", "ex-other", "ex-shared")]
    assert cleanup.remaining(Login([endpoint_of(broker)]), mine) == mine
    assert cleanup.remove(Login([endpoint_of(broker)]), mine) == []
    assert cleanup.remaining(Login([endpoint_of(broker)]), mine) == []
    survivors.collect()


def test_what_is_left_is_told_with_the_command_that_deletes_it(broker, channel):
    channel.queue_declare("to-delete", auto_delete=False, durable=True)
    channel.exchange_declare("ex-to-delete", "topic", auto_delete=False, durable=True)
    things = [queue("to-delete"), exchange("ex-to-delete")]
    for thing in things:
        command = shlex.split(cleanup.not_deleted("/", thing, "busy").command)
        assert command[0] == "rabbitmqctl"
        control(broker, *command[1:])
    assert cleanup.remaining(Login([endpoint_of(broker)]), things) == []


def test_stopped_broker_is_reported_in_time(broker):
    os.kill(broker.beam_pid, signal.SIGSTOP)
    try:
        assert "never answered" in failure([endpoint_of(broker)])
        began = time.monotonic()
        left = cleanup.remove(Login([endpoint_of(broker)]), [queue("q"), exchange("e")])
        assert [each.thing.name for each in left] == ["q", "e"]
        assert time.monotonic() - began < 2 * cleanup.CONNECT_S
        assert broker.is_alive()
    finally:
        os.kill(broker.beam_pid, signal.SIGCONT)


def test_password_is_in_no_file_and_on_no_command_line(broker):
    password = endpoint_of(broker).password.encode()
    files = [path for path in broker.data_dir.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if password in path.read_bytes()]
    assert password.decode() not in repr(broker)
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                assert password not in (process / name).read_bytes()
            except OSError:
                continue


def test_folder_is_private_and_everything_listens_on_loopback(broker):
    assert broker.data_dir.stat().st_mode & 0o077 == 0
    launcher = psutil.Process(broker.beam_pid).parent()
    listening = [
        connection.laddr.ip
        for process in launcher.children(recursive=True)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert set(listening) <= {"127.0.0.1", "::1"}


def test_nothing_left_after_the_block(tmp_path):
    with embedded_broker(extra_config={"vm_memory_high_watermark.absolute": "300MB"}) as running:
        processes = below(os.getpid()) & below(psutil.Process(running.beam_pid).parent().pid)
        folder = running.data_dir
        assert "300MB" in (folder / "rabbitmq.conf").read_text()
        names = {process.name() for process in processes}
        assert "epmd" in names
        assert any(name.startswith("beam") for name in names)
    assert not running.is_alive()
    assert_gone(processes, folder)


def test_an_error_in_the_block_passes_through_and_nothing_is_left():
    with pytest.raises(ZeroDivisionError), embedded_broker() as running:
        processes, folder = below(psutil.Process(running.beam_pid).ppid()), running.data_dir
        raise ZeroDivisionError
    assert_gone(processes, folder)


def test_a_broker_that_does_not_start_says_why():
    with (
        pytest.raises(RunError, match=r"RabbitMQ ended while starting: .*no_such_key") as caught,
        embedded_broker(extra_config={"no_such_key": "1"}),
    ):
        pytest.fail("started with a configuration that it does not know")
    assert "\n" not in str(caught.value)


def hold(*arguments: str) -> tuple[subprocess.Popen, psutil.Process, set[psutil.Process], Path]:
    """Start a process that holds a broker: it, the launcher, everything below, the folder."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    beam_pid, folder = holder.stdout.readline().split()
    launcher = psutil.Process(int(beam_pid)).parent()
    return holder, launcher, {launcher, *below(launcher.pid)}, Path(folder)


def finish(holder: subprocess.Popen) -> None:
    """End the holder and its fork: a session of their own."""
    os.killpg(holder.pid, signal.SIGKILL)
    holder.stdout.close()
    holder.wait()


def test_nothing_left_after_the_launcher_is_terminated():
    holder, launcher, processes, folder = hold()
    try:
        launcher.terminate()
        assert_gone(processes, folder)
    finally:
        finish(holder)


@pytest.mark.parametrize("arguments", [[], ["fork"]])
def test_nothing_left_after_the_parent_is_killed(arguments):
    holder, _launcher, processes, folder = hold(*arguments)
    try:
        holder.kill()
        assert_gone(processes, folder)
    finally:
        finish(holder)


def test_nothing_runs_after_the_launcher_is_killed():
    with embedded_broker() as running:
        launcher = psutil.Process(running.beam_pid).parent()
        processes = {launcher, *below(launcher.pid)}
        launcher.kill()
    assert_gone(processes, running.data_dir)


def test_a_broker_that_dies_is_seen_and_cleaned_up():
    with embedded_broker() as running:
        launcher = psutil.Process(running.beam_pid).parent()
        processes = {launcher, *below(launcher.pid)}
        os.kill(running.beam_pid, signal.SIGKILL)
        assert_gone(processes, running.data_dir)
        assert not running.is_alive()


@pytest.fixture
def readable_by_all():
    """A copy of what the broker needs, where another user may read it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        for name in ("omrig", "amqp", "vine", "psutil"):
            package = Path(importlib.import_module(name).__file__).parent
            shutil.copytree(package, Path(folder, name))
        yield folder


def test_runs_as_a_user_without_a_home(readable_by_all):
    nobody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    environment = {"PATH": os.environ["PATH"], "HOME": "/none", "PYTHONPATH": readable_by_all}

    def run(python: str, script: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [python, "-c", script],
            env=environment,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=120,
            **nobody,
        )

    def usable(python: str) -> bool:
        try:
            return run(python, "import amqp, psutil, omrig.broker.rabbitmq").returncode == 0
        except OSError:
            return False

    # The interpreter of the tests may lie in root's own home.
    python = next(filter(usable, (sys.executable, "/usr/bin/python3")))
    done = run(python, HOLDER.replace("time.sleep(600)", "pass"))
    assert done.returncode == 0, done.stderr
    beam_pid, folder = done.stdout.split()
    assert not psutil.pid_exists(int(beam_pid))
    assert not Path(folder).exists()


LAUNCHER_ON_A_TAKEN_PORT = """
import sys
from omrig.broker.rabbitmq import launcher, node
launcher.PORT_TRIES, taken, free = int(sys.argv[1]), [int(sys.argv[2])], node.free_port
node.free_port = lambda: taken.pop() if taken else free()
sys.exit(launcher.main())
"""


@pytest.fixture
def taken():
    """A port on which somebody else listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def answer_of_launcher(folder, tries, taken):
    """What the launcher says when the first port that it draws, the broker's, is taken."""
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER_ON_A_TAKEN_PORT, str(tries), str(taken)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    request = {
        "folder": str(folder),
        "rabbitmq": "",
        "option": "--rabbitmq",
        "tls": False,
        "extra_config": {},
    }
    process.stdin.write(json.dumps(request).encode() + b"\n")
    process.stdin.flush()
    answer = json.loads(process.stdout.readline())
    process.communicate()
    return answer


def test_a_port_that_was_taken_meanwhile_is_another_try(tmp_path, taken):
    answer = answer_of_launcher(tmp_path, 2, taken)
    assert "port" in answer, answer
    assert answer["port"] != taken


def test_a_port_that_is_never_free_is_told(tmp_path, taken):
    answer = answer_of_launcher(tmp_path, 1, taken)
    assert "could_not_start_listener" in answer["error"]
    assert "eaddrinuse" in answer["error"]


@pytest.mark.parametrize("layout", ["tarball", "root"])
def test_a_rabbitmq_that_was_unpacked_to_a_folder_is_started_from_there(
    tmp_path, monkeypatch, layout
):
    """A tarball with its Erlang beside it; and a root of packages, with their own C library."""
    folder = Path("/")
    if layout == "tarball":
        folder = tmp_path
        home = installed.find("", tmp_path / "unused").server.resolve().parents[1]
        (tmp_path / home.name).symlink_to(home)
        (tmp_path / "erlang").symlink_to("/usr/lib/erlang")
    monkeypatch.setenv(installed.VARIABLE, str(folder))
    with embedded_broker() as running:
        command = psutil.Process(running.beam_pid).cmdline()
        assert psutil.Process(running.beam_pid).name() == "beam.smp"
        assert str(running.data_dir / "programs") in " ".join(command)
        connect(running).close()
    assert not running.data_dir.exists()


def test_a_folder_without_a_rabbitmq_is_told(tmp_path, run, monkeypatch):
    monkeypatch.setenv(installed.VARIABLE, str(tmp_path))
    status, _, err = run("run", "-m", 1)
    assert status == 2
    assert f"omrig: OMRIG_RABBITMQ: {tmp_path} has no RabbitMQ (looked for " in err
