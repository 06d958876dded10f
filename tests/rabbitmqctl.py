"""What a running embedded broker says of itself, asked as its operator would."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from omrig.broker.rabbitmq import installed
from omrig.broker.rabbitmq.embedded import Embedded

_NAMES = """
[io:format("~s~n", [element(4, Name)]) || Name <- rabbit_exchange:list_names()
    ++ [amqqueue:get_name(Queue) || Queue <- rabbit_amqqueue:list()]], ok.
"""

_RECEIVED = """
lists:sum([maps:get(messages_received_total, Counts, 0)
    || Counts <- maps:values(rabbit_global_counters:overview())]).
"""


def control(broker: Embedded, *arguments: str) -> str:
    """Run ``rabbitmqctl`` on ``broker``, which was started with the environment of today."""
    lines = Path(f"/proc/{broker.beam_pid}/environ").read_text().split("\0")
    environment = dict(line.split("=", 1) for line in lines if "=" in line)
    # The script of an Erlang that is not installed knows the place alone where it would be.
    environment["ESCRIPT_EMULATOR"] = str(shutil.which("erl", path=environment["PATH"]))
    # Not the wrapper on PATH, which wants to be root.
    program = installed.server(os.environ.get(installed.VARIABLE, "")).with_name("rabbitmqctl")
    return subprocess.run(
        [str(program), *arguments],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


def declared(broker: Embedded) -> set[str]:
    """The names of all queues and exchanges but the broker's own."""
    names = set(control(broker, "eval", _NAMES).split("\n"))
    return {name for name in names if not re.fullmatch(r"|ok|amq\..*", name)}


def received(broker: Embedded) -> int:
    """How many messages were published to it since it started."""
    return int(control(broker, "eval", _RECEIVED))
