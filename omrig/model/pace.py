"""When a producer sends, and for how long: as fast as it is answered (a closed loop), or at a rate
(an open loop)."""

import dataclasses

from omrig.model import arrivals
from omrig.model.arrivals import ARRIVALS, STEP_S, Offsets, Step
from omrig.model.errors import UsageError
from omrig.model.option import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pace:
    """The rates of an open loop, how long a load lasts, how long workers of a closed loop think.

    All None is a closed loop that ends with its last message. ``arrivals`` is None where the loop
    is closed. ``messages_of_all`` are those of all producers, None where it is that of one.

    Raises ``UsageError`` when a value makes no sense, or two of them together.
    """

    rate: float | None = option(
        None,
        "--rate",
        kind="rate",
        metavar="R",
        help="send R messages a second whether they are answered or not, in an open loop (default:"
        " a closed loop)",
    )
    arrivals: str | None = option(
        None,
        "--arrivals",
        kind="text",
        metavar="HOW",
        help=f"{' or '.join(ARRIVALS)}: how messages of an open loop follow each other (default"
        f" {ARRIVALS[0]})",
    )
    duration_s: float | None = option(
        None,
        "--duration",
        kind="seconds",
        metavar="SECONDS",
        help="send for so long (default: until -m messages are sent)",
    )
    ramp: str | None = option(
        None,
        "--ramp",
        kind="text",
        metavar="FROM:TO:STEPS",
        help=f"an open loop at one rate after the other, each for {STEP_S:g} s or its part of"
        " --duration",
    )
    think_time_s: float | None = option(
        None,
        "--think-time",
        kind="seconds",
        metavar="SECONDS",
        help="a worker of a closed loop waits so long before its next message",
    )

    messages_of_all: int | None = dataclasses.field(default=None, metadata={"private": True})

    def __post_init__(self) -> None:
        for flag, value in (("--duration", self.duration_s), ("--think-time", self.think_time_s)):
            if value is not None and value <= 0:
                raise UsageError(f"{flag}: {value:g} is not above 0; give seconds")
        if self.rate is not None and self.rate <= 0:
            raise UsageError(f"--rate: {self.rate:g} is not above 0; give messages a second")
        if self.rate is not None and self.ramp is not None:
            raise UsageError("--rate and --ramp: a ramp has its own rates; give one of them")
        if self.arrivals is not None and self.arrivals not in ARRIVALS:
            raise UsageError(
                f"--arrivals: unknown {self.arrivals!r}; choose from {', '.join(ARRIVALS)}"
            )
        if self.arrivals is not None and not self.is_open:
            raise UsageError("--arrivals: a closed loop has none of its own; give --rate or --ramp")
        if self.think_time_s is not None and self.is_open:
            raise UsageError(
                "--think-time: in an open loop the rate says when messages are sent; leave it out"
            )

    @property
    def is_open(self) -> bool:
        """Whether messages are sent when it is time, and not when others have ended."""
        return self.rate is not None or self.ramp is not None

    @property
    def how(self) -> str:
        """How the messages of an open loop follow each other."""
        return self.arrivals or ARRIVALS[0]

    @property
    def rates(self) -> tuple[float, ...]:
        """The rates of an open loop in msg/s, in their order; empty for a closed one."""
        if self.ramp is not None:
            return arrivals.ramp(self.ramp)
        return () if self.rate is None else (self.rate,)

    @property
    def longest_s(self) -> float:
        """How long there may be nothing to send, in a load in which nothing is wrong."""
        return max(1 / min(self.rates) if self.rates else 0.0, self.think_time_s or 0.0)

    @property
    def gives_up(self) -> bool:
        """Whether what could not be sent in its time is not sent at all."""
        return self.duration_s is not None or self.ramp is not None

    def messages(self, asked: int | None, default: int | None) -> int | None:
        """How many messages the load has: ``asked`` for, None where nobody did; else so many by
        ``default``. None where only the time says when it ends.

        Raises ``UsageError`` where there would be none.
        """
        if self.ramp is not None and asked is not None:
            raise UsageError(
                "-m: how many messages a ramp has follows from its rates; give --duration"
            )
        if not self.is_open or (asked is None and not self.gives_up):
            return default if asked is None and self.duration_s is None else asked
        total = self.steps(asked)[-1].end
        if total < 1:
            raise UsageError(
                f"--rate: {self.rates[0]:g} a second for {self.duration_s:g} s is less than one"
                " message; give a higher rate or a longer --duration"
            )
        return total

    def steps(self, messages: int | None) -> tuple[Step, ...]:
        """The steps of an open loop of so many messages, None for as many as its time allows; none
        of a closed one."""
        return arrivals.steps(self.rates, self.duration_s, messages) if self.is_open else ()

    def offsets(
        self, messages: int | None, seed: str, member: int = 0, members: int = 1
    ) -> Offsets:
        """When each message of a member is to be sent, as :func:`arrivals.offsets` has it."""
        return arrivals.offsets(self.steps(messages), self.how, seed, member, members)
