"""What a stage map can ask to be done at a function: a small vocabulary, the same for all drivers.

An action is a table of a stage map (:mod:`omrig.drivers.maps`): its name, and what it says. What
each does, the measured process knows (:mod:`omrig.measured.probes.actions`).
"""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from omrig.model.stamps import CONSUMER_COLUMNS, PRODUCER_COLUMNS

Said = str | bool | tuple[str, ...]
"""What an action can say under one key."""

COLUMN, PARAMETER, PARAMETERS, PATH, PATHS, KEYS, FLAG = (
    "a column",
    "a parameter of the function",
    "parameters of the function",
    "a parameter of the function and what it leads to, as in message.channel or incoming[0]",
    "a parameter of the function and what it leads to, as in incoming[0], or incoming[*]",
    "keys of a dictionary",
    "true or false",
)
"""What a key may say, in words."""

ARRIVAL = "arrival"
"""When the kernel had a message's last byte: no stamp of a probe, but a connection has to be known
for it."""


@dataclasses.dataclass(frozen=True)
class Form:
    """What an action has to say, and may say; ``gives`` are columns that it does not name."""

    required: Mapping[str, str | tuple[str, ...]]
    optional: Mapping[str, str | tuple[str, ...]] = dataclasses.field(default_factory=dict)
    gives: tuple[str, ...] = ()


_SENT_AS = ("call", "cast", "notify")
_OF_CONNECTIONS = ("stamp", "read", "connection", "offset", ARRIVAL)

FORMS: Mapping[str, Form] = MappingProxyType(
    {
        # Of the message that is being sent
        "stamp": Form({}, {"enter": COLUMN, "first": COLUMN, "exit": COLUMN}),
        "span": Form(
            {"sum": COLUMN},
            {"of": ("sent", "received"), "alone": FLAG, "lost": FLAG, "early": COLUMN},
        ),
        "adopt": Form({"id": KEYS, "in": PARAMETER}, {"sum": COLUMN}, gives=("id",)),
        "confirm": Form({"link": PATH, "exit": COLUMN}, gives=("confirm_stamp",)),
        "message": Form(
            {"pattern": _SENT_AS, "target": PATH, "exchange": PATH, "context": PARAMETER},
            {"method": PARAMETER, "event": PARAMETER},
            gives=("kind", "request", "outcome", "parent"),
        ),
        # Of a message that comes
        "receive": Form({"link": PATH}, gives=_OF_CONNECTIONS),
        "open": Form(
            {"on": PARAMETER, "id": PARAMETERS},
            {"exit": COLUMN},
            gives=("id", "json_in", *_OF_CONNECTIONS),
        ),
        "carry": Form({"by": PATHS, "enter": COLUMN}),
        "close": Form(
            {"by": PATHS, "enter": COLUMN, "exit": COLUMN},
            {"target": PATH, "exchange": PATH, "event": FLAG},
        ),
        "serve": Form({"enter": COLUMN, "exit": COLUMN}, {"caught": FLAG}),
        "reply": Form({"id": PARAMETER, "in": PARAMETER, "has": KEYS, "enter": COLUMN}),
        # Of the connection
        "note": Form({"event": ("blocked", "unblocked")}, {"reason": PARAMETER}),
        "wrap": Form({"connection": ("made", "made_tls", "closing", "consumes"), "of": PARAMETER}),
    }
)
"""The actions by name:

- ``stamp``: the columns get the time when the function is entered (``first``: unless there is one)
  and when it returns.
- ``message``: the function sends a message, whose record begins and ends with it. What it is: the
  pattern, a target of oslo.messaging, the exchange where that has none, a context, and the name of
  a method or (``event``) a dictionary with the type of an event.
- ``span``: how long the function takes is added to a column of the message that is sent, or of what
  was just received; ``alone``: what it sends itself is another message's; ``lost``: it is called
  after an attempt to publish failed; ``early``: to that column if the pool was not asked before.
- ``adopt``: the message that is sent has its id under the first of these keys, and with ``sum`` the
  function is a span of it, too.
- ``confirm``: the broker has confirmed the message when the function returns.
- ``receive``: a message has just been read from a connection.
- ``open``: when the function returns, its record begins, with the first of these ids, carried by an
  object, and with a stamp of then.
- ``carry``: a stamp in the record that an object carries, or each object of a list.
- ``close``: from here on the reply to it is what is being sent; when the function ends so does the
  record. The messages of a list are served at once, and their records end together. What they were:
  the target or targets of their server, the exchange where those have none; ``event``: they are
  notifications.
- ``serve``: the endpoint; what it sends is not the reply. ``caught``: what the endpoint raises the
  function catches itself.
- ``reply``: the reply with this id is handed to its caller.
- ``note``: the broker takes no more from a connection, or does again.
- ``wrap``: a connection is made, closed or consumed from.
"""

_GIVEN_BY_CONNECTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "made": ("depart", "cpu_depart", "socket_wait", *_OF_CONNECTIONS),
        "made_tls": ("depart", "cpu_depart", *_OF_CONNECTIONS),
        "consumes": (ARRIVAL,),
        "closing": (),
    }
)

CPU_COLUMNS_OF: Mapping[str, str] = MappingProxyType(
    {
        "json_out": "cpu_json_out",
        "json_in": "cpu_json_in",
        "submit": "cpu_handed",
        "put": "cpu_handed",
        "start": "cpu_begin",
        "endpoint": "cpu_endpoint",
        "endpoint_end": "cpu_endpoint_end",
    }
)
"""The column for the CPU time of the thread at the moment of a stamp, or in a span."""

COLUMN_NAMES = frozenset({*PRODUCER_COLUMNS, *CONSUMER_COLUMNS})


@dataclasses.dataclass(frozen=True)
class Action:
    """What is to be done at a function: ``name`` is one of ``FORMS``, ``says`` fills it in."""

    name: str
    says: Mapping[str, Said]

    def word(self, key: str) -> str:
        """What it says under a key that takes one word; empty where it says nothing."""
        said = self.says.get(key, "")
        return said if isinstance(said, str) else ""

    def words(self, key: str) -> tuple[str, ...]:
        """... under one that takes several."""
        said = self.says.get(key, ())
        return said if isinstance(said, tuple) else ()

    def flag(self, key: str) -> bool:
        """... under one that is true or false."""
        return self.says.get(key) is True

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are not to be had without it."""
        form = FORMS[self.name]
        kinds = {**form.required, **form.optional}
        named = [self.word(key) for key in self.says if kinds[key] == COLUMN]
        cpu = [CPU_COLUMNS_OF[column] for column in named if column in CPU_COLUMNS_OF]
        connection = _GIVEN_BY_CONNECTIONS.get(self.word("connection"), ())
        return (*named, *cpu, *form.gives, *connection)


EACH = "*"
"""The place in a list that stands for all of them."""


def split_path(path: str) -> tuple[str, tuple[str | int, ...]]:
    """A path as a parameter's name and steps: ``a.b[0]`` is ``("a", ("b", 0))``.

    ``a[*]`` is ``("a", ("*",))``, and only a path's first step can be that.

    Raises ``ValueError`` for what is no path.
    """
    steps: list[str | int] = []
    for part in path.split("."):
        name, bracket, index = part.partition("[")
        if not name.isidentifier() or (bracket and not index.endswith("]")):
            raise ValueError(f"{path!r} is no path")
        steps.append(name)
        if bracket:
            steps.append(EACH if index == "*]" and len(steps) == 1 else int(index[:-1]))
    first = steps[0]
    return str(first), tuple(steps[1:])


def opens(action: Action) -> bool:
    """Whether it is of use only where no load of the rig's begins and ends messages itself."""
    return action.name == "message" or (action.name == "adopt" and "sum" not in action.says)
