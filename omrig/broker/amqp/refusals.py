"""What a broker refuses: its own words, and what to do about them."""

import re
import shlex
from typing import Any

from omrig.drivers.rabbit import GROUP
from omrig.model.redaction import redact

_LIMIT = re.compile(r"\blimit\b.*\(\d+\)")

_NO_ADVICE = "see the broker's log for the reason"

_TRANSIENT_QUEUES = "transient_nonexcl_queues"


def is_broker_s(error: Any) -> bool:
    """Whether an ``amqp.AMQPError`` is the broker's own answer, not py-amqp's about the broker."""
    return error.method_sig is not None and bool(error.reply_text)


def said(error: Any) -> str:
    """The broker's words in one line, without the name of the code before them and any password.

    Of an error that is none of AMQP, its text.
    """
    given = error.reply_text if hasattr(error, "reply_text") else error
    text = redact(" ".join(str(given or "").split()))
    code, dash, rest = text.partition(" - ")
    return rest if dash and code.isupper() else text


def quoted(error: Exception) -> str:
    """What an error says, of the broker's or a library's; its name where it says nothing."""
    return said(error) or type(error).__name__


def is_limit(words: str) -> bool:
    """Whether a refusal is about how many there may be, which passes by itself."""
    return bool(_LIMIT.search(words))


def permission(error: Any) -> tuple[str, str] | None:
    """Which permission is missing, on the thing of which name; None if none is.

    A broker before RabbitMQ 3.12 names the thing and not the permission: the method tells.
    """
    words = said(error)
    if error.reply_code != 403 or "access to " not in words:
        return None
    about = words.partition("access to ")[2]
    kind, _, rest = about.partition(" ")
    name = rest.split("'")[1] if rest.count("'") > 1 else rest
    return _permission(error.method_name, kind), name


def _permission(method: str, kind: str) -> str:
    if method in ("Queue.bind", "Queue.unbind"):
        return "write" if kind == "queue" else "read"
    if method in ("Basic.publish", "Basic.get", "Basic.consume"):
        return "write" if method == "Basic.publish" else "read"
    return "configure"


def advice(words: str, user: str, vhost: str) -> str:
    """What to do about a refusal in these words."""
    user, vhost = shlex.quote(user), shlex.quote(vhost)
    if _TRANSIENT_QUEUES in words:
        return (
            "the driver declares such queues by default; set rabbit_quorum_queue = true and"
            f" rabbit_transient_quorum_queue = true in [{GROUP}]"
        )
    if "is down" in words:
        return f"start it with `rabbitmqctl restart_vhost -p {vhost}`"
    if "queue limit in vhost" in words:
        return (
            "delete queues that nobody needs, or raise the limit with `rabbitmqctl"
            f" set_vhost_limits -p {vhost} '{{\"max-queues\": N}}'`"
        )
    if "user limit" in words or "user connection limit" in words:
        what = "max-channels" if "channels" in words else "max-connections"
        return (
            "close what is not needed, or raise the limit with `rabbitmqctl set_user_limits"
            f" {user} '{{\"{what}\": N}}'`"
        )
    if "node connection limit" in words or "on node" in words:
        return "close what is not needed, or raise the limit in the broker's configuration"
    if "connection limit" in words:
        return (
            "close what is not needed, or raise the limit with `rabbitmqctl set_vhost_limits"
            f" -p {vhost} '{{\"max-connections\": N}}'`"
        )
    return _NO_ADVICE
