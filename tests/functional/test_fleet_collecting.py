"""Folders come back from workers of a real cluster, of which one dies in the middle."""

import os
import random
import signal
import threading

import pytest
from distributed import Client, LocalCluster

from omrig.fleet import collecting, resuming, spool
from omrig.fleet.collecting import Cut
from omrig.model.fleet import Fleet, FleetHost
from tools import synthetic_values


@pytest.fixture
def client(tmp_path, monkeypatch):
    monkeypatch.setenv("OMRIG_SPOOL", str(tmp_path / "spool"))
    monkeypatch.setattr(collecting, "CHUNK_BYTES", 100_000)
    cluster = LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    )
    with cluster, Client(cluster) as client:
        yield client


@pytest.fixture
def workers(client):
    return tuple(client.scheduler_info()["workers"])


@pytest.fixture
def left(client):
    folder = spool.made("r1")
    (folder / "producer").mkdir()
    (folder / "producer" / "stamps.npz").write_bytes(random.Random(1).randbytes(2_000_000))
    # Of two workers of it, and of another host with the same disk.
    for name in ("h1", "h1.1", "h1.10"):
        (folder / "hosts" / name).mkdir(parents=True)
        (folder / "hosts" / name / "machine.csv").write_text("t,cpu\n")
    (folder / "run.json").write_text("the host's own")
    (folder / "consumer").mkdir()
    (folder / "consumer" / "side.json").write_text("of another host with the same disk")
    return folder


def a_run(left):
    host = FleetHost(
        name="h1", address="127.0.0.1", boot_id="b", cpu_count=2, kernel="6", python="3.11",
        omrig="1", members=("producer",), sampled_in=("hosts/h1", "hosts/h1.1"), left_in=str(left),
        ended_because="the network was cut",
    )  # fmt: skip
    fleet = Fleet(kind="local", engine="dask.distributed", coordinator="h0", hosts=(host,))
    return synthetic_values.run(fleet=fleet)


class There:
    def __init__(self, workers):
        self.address, self.workers = "127.0.0.1", workers


def test_a_worker_dies_in_the_middle_and_another_one_goes_on(client, workers, left, tmp_path):
    pids = client.run(os.getpid)
    content = (left / "producer" / "stamps.npz").read_bytes()
    heard = []

    def kill(real=collecting.OfWorker.chunk):
        def chunk(self, name, at, size_bytes):
            heard.append((self._worker, at))
            if at == 1_000_000 and self._worker == workers[0]:
                os.kill(pids[workers[0]], signal.SIGKILL)
            return real(self, name, at, size_bytes)

        return chunk

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collecting.OfWorker, "chunk", kill())
        # The nanny starts it anew, under another address: it is no use that it does.
        run, failed = resuming.gather(
            client, a_run(left), tmp_path / "run", [There(workers)], lambda _text: None
        )
    assert failed == {}
    assert (tmp_path / "run" / "producer" / "stamps.npz").read_bytes() == content
    assert sorted(tmp_path.glob("run/hosts/*/*")) == [
        tmp_path / "run/hosts/h1/machine.csv",
        tmp_path / "run/hosts/h1.1/machine.csv",
    ]
    assert not (tmp_path / "run" / "run.json").exists()
    assert {worker for worker, _ in heard} == {*workers}
    # What the first one brought is not asked for again.
    assert min(at for worker, at in heard if worker == workers[1] and at) >= 1_000_000
    # What was not this host's is left alone.
    assert not (tmp_path / "run" / "consumer").exists()
    assert sorted(each.name for each in left.iterdir()) == ["consumer", "hosts", "run.json"]
    assert [each.name for each in (left / "hosts").iterdir()] == ["h1.10"]
    (host,) = run.fleet.hosts
    assert host.left_in is None
    assert host.ended_because == "the network was cut"


def test_what_no_worker_can_read_is_said_and_stays_where_it_is(client, workers, left, tmp_path):
    run, failed = resuming.gather(
        client, a_run(left / "absent"), tmp_path / "run", [There(workers)], lambda _text: None
    )
    assert "No such file or directory" in failed["h1"]
    assert run.fleet.hosts[0].left_in == str(left / "absent")
    with pytest.raises(Cut):
        collecting.fetch(client, "tcp://127.0.0.1:1", str(left), tmp_path / "run", print)


def test_a_worker_that_is_stopped_is_given_up_and_still_collected_later(
    client, workers, left, tmp_path, monkeypatch
):
    monkeypatch.setattr(collecting, "ANSWER_S", 1.0)
    pids = client.run(os.getpid)
    os.kill(pids[workers[0]], signal.SIGSTOP)
    later = threading.Timer(20, os.kill, (pids[workers[0]], signal.SIGCONT))
    later.start()
    try:
        with pytest.raises(Cut, match="no answer for 1 s"):
            collecting.fetch(client, workers[0], str(left), tmp_path / "run", print)
        collecting.fetch(client, workers[1], str(left), tmp_path / "run", print, ["producer"])
    finally:
        later.cancel()
        os.kill(pids[workers[0]], signal.SIGCONT)
    assert (tmp_path / "run" / "producer" / "stamps.npz").stat().st_size == 2_000_000
