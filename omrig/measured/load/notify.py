"""How notifications are sent and served: the notifier, and the listener, by ones or in batches.

Chosen once, before the load: nothing is decided for each message.
"""

import logging
import types
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from omrig.measured.load.rpc import Send
from omrig.measured.load.tally import Tally
from omrig.measured.probes.stamp import clock
from omrig.model.notifications import DEFAULT_BATCH_TIMEOUT_S
from omrig.model.patterns import Pattern
from omrig.model.payload import METHOD
from omrig.model.plan import Plan
from omrig.model.values import Json

EVENT_TYPE = f"omrig.{METHOD}"
"""What a notification says that it is about."""

DRIVER = "messagingv2"
"""The notifier's driver: with the envelope that RPC has, too."""

Message = Callable[..., Any]
"""The endpoint's method that takes a message: ``(context, seq, producer, **payload)``."""

Notify = Callable[[Any, str, Any], None]
"""The notifier's method of a priority: ``(context, event_type, payload)``."""

_LOGGERS = ("oslo_messaging.notify.messaging", "oslo_messaging.notify.notifier")
"""Where the notifier tells what it could not send: it returns as if it had."""


def transport(conf: Any, url: Any, plan: Plan) -> Any:
    """The transport of notifications; a notifier's exchange is the one of the configuration."""
    import oslo_messaging

    conf.set_override("control_exchange", plan.exchange)
    return oslo_messaging.get_notification_transport(conf, url)


def client(transport: Any, plan: Plan) -> Notify:
    """What notifies with the priority of ``plan``, and tries again as the configuration says."""
    import oslo_messaging

    notifier = oslo_messaging.Notifier(
        transport, publisher_id=f"omrig.{plan.tag}", driver=DRIVER, topics=[plan.queue_topic]
    )
    notify: Notify = getattr(notifier, plan.priority)
    return notify


def serve(transport: Any, plan: Plan, endpoint: Any) -> Any:
    """A started listener with this endpoint; when this returns its queue exists.

    Messages go to ``endpoint.message``; what that asks to have again is counted in
    ``endpoint.tally``. Raises what oslo.messaging raises when it cannot listen.
    """
    import oslo_messaging

    batch = plan.notifications.batch
    targets = [oslo_messaging.Target(exchange=plan.exchange, topic=plan.queue_topic)]
    make = one_by_one if batch is None else in_batches
    method = make(endpoint.message, endpoint.tally)
    endpoints = [types.SimpleNamespace(**{plan.priority: method})]
    if batch is None:
        server = oslo_messaging.get_notification_listener(
            transport, targets, endpoints, allow_requeue=True
        )
    else:
        server = oslo_messaging.get_batch_notification_listener(
            transport,
            targets,
            endpoints,
            allow_requeue=True,
            batch_size=batch,
            batch_timeout=plan.notifications.batch_timeout_s or DEFAULT_BATCH_TIMEOUT_S,
        )
    server.start(override_pool_size=plan.load.executor_pool_size)
    return server


def one_by_one(message: Message, tally: Tally) -> Callable[..., Any]:
    """The method of an endpoint that takes one notification at a time."""
    import oslo_messaging

    requeue = oslo_messaging.NotificationResult.REQUEUE

    def receive(
        context: Any, _publisher_id: str, _event_type: str, payload: Any, _metadata: Any
    ) -> Any:
        try:
            result = message(context, **payload)
        except oslo_messaging.ExpectedException:
            # Nobody waits for it, and who sees it raised would have the message again for ever.
            return None
        if result == requeue:
            tally.requeue(payload["producer"], payload["seq"])
        return result

    return receive


def in_batches(message: Message, tally: Tally) -> Callable[[list[Any]], Any]:
    """The method of an endpoint that takes several notifications at once.

    They have come when it is called. If it wants one of them again it gets all of them again.
    """
    import oslo_messaging

    requeue = oslo_messaging.NotificationResult.REQUEUE

    def receive(messages: list[Any]) -> Any:
        at_ns = clock.entered()
        again = False
        for each in messages:
            try:
                again |= message(each["ctxt"], at_ns=at_ns, **each["payload"]) == requeue
            except oslo_messaging.ExpectedException:
                continue
        if any(each["payload"]["seq"] >= 0 for each in messages):
            tally.batches.append(None)
        if not again:
            return None
        for each in messages:
            tally.requeue(each["payload"]["producer"], each["payload"]["seq"])
        return requeue

    return receive


def sender(
    _pattern: Pattern, client: Notify, producer_id: str, payload: Mapping[str, Json]
) -> Send:
    """A function that sends the message with the given sequence number.

    It returns when oslo.messaging does, and raises what that has only logged.
    """
    context: dict[str, Json] = {}
    failed = _listening()

    def send(seq: int) -> None:
        client(context, EVENT_TYPE, {"seq": seq, "producer": producer_id, **payload})
        error = failed.get()
        if error is not None:
            failed.set(None)
            raise error

    return send


class _Failures(logging.Handler):
    """Keeps the exception that a notifier has logged, for the thread that has sent."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.last: ContextVar[BaseException | None] = ContextVar("omrig_notify", default=None)

    def emit(self, record: logging.LogRecord) -> None:
        """Called by the thread that sends."""
        error = record.exc_info[1] if record.exc_info else None
        self.last.set(error or RuntimeError(record.getMessage()))


_failures = _Failures()


def _listening() -> ContextVar[BaseException | None]:
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if _failures not in logger.handlers:
            logger.addHandler(_failures)
            # It is counted as a failed message; its whole payload need not be in a log.
            logger.propagate = False
    return _failures.last
