"""The clean-up after a run: delete the queues and exchanges that it declared."""

import time
from collections.abc import Sequence
from typing import Any

from omrig.broker.connection import Login, call_within, open_first
from omrig.errors import UsageError


def delete_declared(
    login: Login,
    *,
    queues: Sequence[str] = (),
    shared_queues: Sequence[str] = (),
    exchanges: Sequence[str] = (),
    deadline_s: float = 5.0,
) -> list[str]:
    """Delete what a run declared and return the names that were left behind.

    `queues` are ours alone and go whatever is in them; `shared_queues` and `exchanges` go only
    if nobody uses them. A name that is not there counts as deleted. Takes `deadline_s` seconds
    at most and never raises for a broker that is gone: every name is left behind then.
    """
    wanted = [("queue", name, False) for name in queues]
    wanted += [("queue", name, True) for name in shared_queues]
    wanted += [("exchange", name, True) for name in exchanges]
    if not wanted:
        return []
    end = time.monotonic() + deadline_s
    try:
        connection, _ = open_first(login, deadline_s * 0.6)
    except UsageError:
        return [name for _, name, _ in wanted]
    deleted: set[tuple[str, str]] = set()

    def delete_all() -> None:
        # Queues first: an exchange with a bound queue counts as used.
        for kind, name, if_unused in wanted:
            if _delete(connection, kind, name, if_unused):
                deleted.add((kind, name))

    try:
        call_within(end - time.monotonic(), delete_all)
    except Exception:  # noqa: BLE001, S110 - what was not deleted is the answer, whatever the reason
        pass
    finally:
        connection.collect()
    return [name for kind, name, _ in wanted if (kind, name) not in deleted]


def _delete(connection: Any, kind: str, name: str, if_unused: bool) -> bool:
    """Say whether the thing is gone. The broker closes a channel on error, so each has its own."""
    import amqp

    channel = connection.channel()
    try:
        delete = channel.queue_delete if kind == "queue" else channel.exchange_delete
        delete(name, if_unused=if_unused)
    except amqp.NotFound:
        return True
    except amqp.ChannelError:
        return False
    channel.close()
    return True
