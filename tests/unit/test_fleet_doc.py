"""What doc/fleet.rst points at is what the tools that it is for can read."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from omrig.cli.main import parsed
from omrig.model.plan import SIDES

DOC = Path(__file__).parents[2] / "doc"
TEXT = (DOC / "fleet.rst").read_text()
MANIFEST = list(yaml.safe_load_all((DOC / "fleet" / "kubernetes.yaml").read_text()))
PLAYBOOK = (DOC / "fleet" / "playbook.yaml").read_text()


def one(kind, name):
    """The object of the manifest with this kind and name."""
    (found,) = (
        each for each in MANIFEST if (each["kind"], each["metadata"]["name"]) == (kind, name)
    )
    return found


def pod(kind, name):
    return one(kind, name)["spec"]["template"]


def container(kind, name):
    (found,) = pod(kind, name)["spec"]["containers"]
    return found


@pytest.mark.parametrize("name", re.findall(r"<(fleet/[^>]+)>`_", TEXT))
def test_a_file_that_is_pointed_at_is_there(name):
    assert (DOC / name).is_file()


def test_the_workers_find_the_scheduler_and_so_does_the_run():
    scheduler = container("Deployment", "scheduler")
    (port,) = one("Service", "scheduler")["spec"]["ports"]
    address = f"tcp://scheduler:{port['port']}"
    assert str(port["port"]) in scheduler["command"]
    assert address in container("DaemonSet", "worker")["command"]
    assert address in container("Job", "fleet")["command"]


def test_a_service_or_a_policy_selects_pods_that_there_are():
    labels = [
        pod(kind, name)["metadata"]["labels"]
        for kind, name in (
            ("Deployment", "scheduler"), ("DaemonSet", "worker"), ("Job", "fleet"),
        )
    ]  # fmt: skip
    service = one("Service", "scheduler")["spec"]["selector"]
    assert [service.items() <= each.items() for each in labels] == [True, False, False]
    policy = one("NetworkPolicy", "cluster-of-its-own")["spec"]["podSelector"]["matchLabels"]
    assert all(policy.items() <= each.items() for each in labels)


def test_a_worker_has_whole_cores_and_a_thread_for_each():
    worker = container("DaemonSet", "worker")
    cores = worker["resources"]["limits"]["cpu"]
    assert worker["resources"]["requests"]["cpu"] == cores
    assert worker["args"][worker["args"].index("--nthreads") + 1] == cores


def test_only_the_run_has_the_transport():
    for kind, name in (("Deployment", "scheduler"), ("DaemonSet", "worker")):
        assert "secret" not in str(pod(kind, name))
    volumes = pod("Job", "fleet")["spec"]["volumes"]
    assert {"secretName": "transport"} in [each.get("secret") for each in volumes]


def test_what_the_job_runs_are_options_of_a_run():
    arguments = container("Job", "fleet")["args"]
    _, options = parsed("run", arguments[arguments.index("--") + 1 :])
    assert options.message_count == 100000
    mounts = {each["mountPath"] for each in container("Job", "fleet")["volumeMounts"]}
    assert {"/etc/omrig", "/runs"} == mounts


def test_the_playbook_runs_options_that_each_side_has():
    first, second = yaml.safe_load(PLAYBOOK)
    assert first["hosts"] == "producers:consumers" and second["hosts"] == "localhost"
    lines = [line for line in PLAYBOOK.splitlines() if not line.startswith("#")]
    assert len(lines) <= 22
    named = set(re.findall(r"(--[a-z][a-z-]+)", "\n".join(lines))) - {"--html"}
    for side in SIDES:
        _, options = parsed("", [f"--{side}", *_with_values(named)])
        assert options.expect_consumers == 2


def _with_values(named):
    values = {"--quiet": []}
    return [word for name in sorted(named) for word in (name, *values.get(name, ["2"]))]


def test_the_batch_script_is_a_shell_script():
    script = DOC / "fleet" / "slurm.sh"
    done = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
