"""Who a measured process is to the broker: itself, whatever the configuration says.

The configuration is that of a service, which may be at work on the same broker. The driver names
connections after the program, and with ``use_queue_manager`` its reply and fanout queues after
``hostname`` and ``processname``: as they are configured those would be the service's queues.
"""

import socket
import sys
from pathlib import Path
from typing import Any

from omrig.drivers import kafka
from omrig.drivers.rabbit import GROUP, IDENTITY
from omrig.measured import declaring
from omrig.model import declared
from omrig.model.plan import Plan

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where the driver keeps its counter


def take(conf: Any, plan: Plan, url: str) -> Any:
    """Make ``conf`` and this process those of a side of ``plan``; the transport URL to be used.

    Has to come before a connection is made. From now on what is declared is written down. A driver
    without these options has no names on a broker.
    """
    import oslo_messaging

    name = f"omrig-{plan.members[0]}-{plan.tag}"
    sys.argv[0] = name
    own = dict(zip(IDENTITY, (socket.gethostname(), name), strict=True))
    transport_url = oslo_messaging.TransportURL.parse(conf, url)
    if kafka.GROUP in conf:
        transport_url.query.pop(kafka.CONSUMER_GROUP, None)
        group = kafka.consumer_group(plan.tag)
        conf.set_override(kafka.CONSUMER_GROUP, group, group=kafka.GROUP)
    if GROUP not in conf:
        return transport_url
    for option, value in own.items():
        # A query of the URL would win over the override.
        transport_url.query.pop(option, None)
        # They came with oslo.messaging 14.6, and the queue manager with them.
        if option in conf[GROUP]:
            conf.set_override(option, value, group=GROUP)
    if plan.transport.record:
        declaring.watch(plan.transport.record, plan.tag)
    if _has_queue_manager(conf, transport_url):
        _keep_counter(conf, plan, "_".join(own.values()))
    return transport_url


def _has_queue_manager(conf: Any, transport_url: Any) -> bool:
    from oslo_messaging._drivers import common

    rabbit = common.ConfigOptsProxy(conf, transport_url, GROUP)[GROUP]
    return "use_queue_manager" in rabbit and bool(rabbit["use_queue_manager"])


def _keep_counter(conf: Any, plan: Plan, identity: str) -> None:
    """Note the files of the queue manager, and have its lock beside its counter.

    Both are this run's alone, and a service's ``lock_path`` need not be ours to write.
    """
    import oslo_concurrency.lockutils  # noqa: F401 - registers the option

    conf.set_override("lock_path", str(_SHARED_MEMORY), group="oslo_concurrency")
    for name in (f"{identity}_qmanager", f"oslo_read_shm_{identity}"):
        if plan.transport.record:
            declared.note(
                plan.transport.record, declared.FILE, str(_SHARED_MEMORY / name), plan.tag
            )
