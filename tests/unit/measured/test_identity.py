"""Whatever the configuration says, a run is itself to the broker."""

import json
import socket
import subprocess
import sys

import pytest

from omrig.broker import declared
from omrig.model.plan import Plan, Where
from omrig.model.transport import Login

CONFIGURED = """
[oslo_messaging_rabbit]
use_queue_manager = true
hostname = ctl1
processname = nova-api
[oslo_concurrency]
lock_path = /nowhere
"""

# oslo.config's object and sys.argv are the process': so in one of its own.
CODE = """
import json, os, sys
from omrig.drivers import configuration, settings
from omrig.drivers import rabbit as names
from omrig.measured.load import identity
from omrig.model.plan import Plan
plan = Plan.from_json(sys.stdin.readline())
found = configuration.load(plan)
settings.resolve(found, configuration.find_url(found, plan))
conf = found.conf
url = identity.take(conf, plan, plan.transport.url)
from oslo_messaging._drivers import amqpdriver, common
rabbit = common.ConfigOptsProxy(conf, url, names.GROUP)[names.GROUP]
names = []
if rabbit["use_queue_manager"]:
    manager = amqpdriver.QManager(rabbit["hostname"], rabbit["processname"])
    names = [manager.get(), manager.get()]
print(json.dumps([sys.argv[0], rabbit["hostname"], rabbit["processname"], names, len(url.query)]))
"""


@pytest.mark.parametrize(
    ("query", "configured", "managed"),
    [
        ("", CONFIGURED, True),
        ("", "", False),
        ("?hostname=ctl2&processname=neutron&use_queue_manager=true", "", True),
        ("?use_queue_manager=false&processname=neutron", CONFIGURED, False),
    ],
)
def test_a_run_has_names_of_its_own(tmp_path, monkeypatch, query, configured, managed):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    file = tmp_path / "service.conf"
    file.write_text(configured)
    plan = Plan(
        sides=("producer",),
        run_id="5a" * 16,
        transport=Where(config_files=(str(file),), url=f"rabbit://u:p@h/{query}"),
    )
    record, _ = declared.begin(plan, Login(()), broker_lasts=False)
    sent = plan.with_transport(record=str(record)).to_json()
    done = subprocess.run(
        [sys.executable, "-c", CODE], input=sent + "\n", capture_output=True, text=True, check=True,
        # As the measured process is started: the queue manager asks who leads its group.
        start_new_session=True,
    )  # fmt: skip
    program, hostname, processname, names, query_options = json.loads(done.stdout)
    assert program == processname == f"omrig-producer-{plan.tag}"
    assert hostname == socket.gethostname()
    assert query_options == query.count("use_queue_manager")
    files = [each for each in declared.read(record).things if each.kind == "file"]
    assert all(each.is_own for each in files)
    if not managed:
        assert names == files == []
        return
    assert names == [f"{hostname}:{processname}:{number}" for number in (1, 2)]
    from omrig.broker.amqp import cleanup

    assert cleanup.remaining(Login(()), files) == files
    assert cleanup.remove(Login(()), files) == []
    assert cleanup.remaining(Login(()), files) == []
