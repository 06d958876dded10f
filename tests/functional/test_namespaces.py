"""The hosts on one machine that other tests stand on are what they are said to be."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from omrig.model.units import MS, NS
from tests import namespaces
from tests.namespaces import HUB, Clock

ECHO = """
import socket
listener = socket.create_server(("", 7))
print("listening", flush=True)
while True:
    near, _ = listener.accept()
    while data := near.recv(100):
        near.sendall(data)
"""

ASK = """
import socket, sys, time
with socket.create_connection((sys.argv[1], 7), timeout=5) as far:
    times = []
    for _ in range(10):
        begin = time.perf_counter()
        far.sendall(b"x")
        far.recv(1)
        times.append(time.perf_counter() - begin)
print(min(times))
"""

CLOCKS = "import time; print(time.monotonic_ns(), time.time_ns())"
SLEEPS = """
import threading, time
begin = time.monotonic()
time.sleep(0.2); threading.Event().wait(0.2)
print(time.monotonic() - begin)
"""


@pytest.fixture(scope="module")
def rig():
    with namespaces.rig() as made:
        made.add("near", there_ms=2, back_ms=2)
        made.add("far", Clock(ahead_ns=500 * MS, ppm=5000), there_ms=5, back_ms=10)
        yield made


def test_hosts_are_as_far_from_one_another_as_their_wires_are_long(rig):
    near, far = rig.hosts["near"], rig.hosts["far"]
    with rig.start(far, sys.executable, "-uc", ECHO, stdout=subprocess.PIPE) as echo:
        assert echo.stdout.readline() == "listening\n"
        trip_s = float(rig.python(near, "-c", ASK, far.address))
        far.cut()
        with pytest.raises(subprocess.CalledProcessError):
            rig.python(near, "-c", ASK, far.address, stderr=subprocess.DEVNULL)
        far.heal()
        again_s = float(rig.python(near, "-c", ASK, far.address))
        for each in rig.processes(far):
            os.kill(each, signal.SIGKILL)
    assert 0.019 <= trip_s < 0.024
    assert 0.019 <= again_s < 0.024


def test_a_host_has_a_name_a_boot_and_clocks_of_its_own(rig):
    far = rig.hosts["far"]
    told = (
        "import socket; print(socket.gethostname(), open('/proc/sys/kernel/random/boot_id').read())"
    )
    names = [rig.python(each, "-c", told).split() for each in (*rig.hosts.values(), None)]
    assert [name for name, _ in names][:2] == ["near", "far"]
    assert len({boot for _, boot in names}) == 3
    before = time.monotonic_ns()
    monotonic, realtime = (int(each) for each in rig.python(far, "-c", CLOCKS).split())
    after = time.monotonic_ns()
    assert far.own_ns(before) <= monotonic <= far.own_ns(after)
    assert far.ahead_ns(after) > 500 * MS
    assert realtime - time.time_ns() + (time.monotonic_ns() - after) < far.ahead_ns(after) + NS
    # Its waits are as long as they are asked to be.
    assert 0.4 <= float(rig.python(far, "-c", SLEEPS)) < 0.5


def test_the_hub_has_this_machine_s_clocks_and_its_own_network(rig):
    before = time.monotonic_ns()
    found = int(rig.python(None, "-c", CLOCKS).split()[0])
    assert before <= found <= time.monotonic_ns()
    listen = f"import socket; print(socket.create_server(('{HUB}', 0)))"
    assert HUB in rig.python(None, "-c", listen)
    with rig.at_hub():
        told = subprocess.run(["ip", "-br", "addr"], capture_output=True, text=True, check=True)
    assert HUB in told.stdout
    assert HUB not in subprocess.run(["ip", "-br", "addr"], capture_output=True, text=True).stdout


def test_nothing_is_left_of_hosts_that_end():
    with namespaces.rig() as rig:
        lost, kept = rig.add("lost"), rig.add("kept")
        sleepers = [rig.start(each, "sleep", "600") for each in (lost, kept)]
        deadline = time.monotonic() + 10
        while not all(map(rig.processes, (lost, kept))) and time.monotonic() < deadline:
            time.sleep(0.05)
        lost.end()
        sleepers[0].wait(timeout=10)
        assert rig.processes(lost) == [] and len(rig.processes(kept)) == 1
    sleepers[1].wait(timeout=10)
    assert not any(Path(f"/proc/{host.init}").exists() for host in (lost, kept))
    assert not rig.folder.exists()
