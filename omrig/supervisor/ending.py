"""Why and when a run stops: it has all it will get, it stands still, its broker is gone, it failed,
or somebody interrupts it.

It looks at what the sides have said, at the clock and at what the broker answers, and asks the
measured processes to end; it starts none and reads from none.
"""

import time
from collections.abc import Mapping
from typing import Protocol

from omrig.model import events
from omrig.model.plan import Plan
from omrig.supervisor import phases
from omrig.supervisor.interrupts import Interrupts
from omrig.supervisor.phases import Phase

STALLED_S = 5.0
"""After so long without progress the broker is tried."""

BROKER_GONE_S = 10.0
"""A broker that refuses connections for so long, while nothing moves, is gone."""

DRAIN_S = 15.0
"""A consumer that receives nothing for so long after the producer's end has all it will get."""

STOP_S = 4.5
"""How long a side may take to end once its results are written or it was asked to stop."""

ASKED_SAVE_S = 30.0
"""How long a side may take to write its results once it was asked to end."""

CONSUMER_GRACE_S = 2.0
"""So long the consumer goes on serving when the producer was asked to end: calls under way get
their reply as long as it lives."""


class Member(Protocol):
    """A measured process, as far as its end is concerned."""

    name: str
    sides: tuple[str, ...]
    counts: dict[str, int]
    phase: Phase
    saved: bool
    failure: str | None

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""

    def stop(self) -> None:
        """Ask it to write its results and end; asking again changes nothing."""

    def kill(self) -> None:
        """End it at once."""

    def last_words(self) -> str:
        """What it died of."""

    def last_error(self) -> str:
        """The last error that it logged; empty when there is none."""


class Broker(Protocol):
    """What can be asked of the broker while a load is under way."""

    name: str
    """For a person, without a password."""

    def has_died(self) -> bool:
        """Whether a broker of our own has ended."""

    def is_reachable(self) -> bool:
        """Whether it takes connections; True where there is none to be reached."""

    def refusal(self, quiet_s: float) -> str | None:
        """What it has been refusing for too long, of a load that stands still since ``quiet_s``."""

    def explanation(self, unanswered: bool) -> str:
        """What it says to a load that ended: why it would not do any more what it did before the
        run, or where somebody was ``unanswered`` what it knows of the queue; empty for nothing."""


class Ending:
    """The end of one run: ``because`` is why it ends early, None as long as it does not.

    ``bad_usage`` says that what the user asked for was found to be impossible.
    """

    def __init__(
        self,
        plan: Plan,
        timeout_s: float,
        members: Mapping[str, Member],
        broker: Broker,
        interrupts: Interrupts,
    ) -> None:
        self.because: str | None = None
        self.bad_usage = False
        self._plan = plan
        self._timeout_s = timeout_s
        self._members = members
        self._broker = broker
        self._interrupts = interrupts
        self._loading = False
        self._unanswered = False
        self._stopping_since: float | None = None
        self._producer_ended_at: float | None = None
        self._changed_at = time.monotonic()
        self._failing = phases.Failing()
        self._tried_at = 0.0
        self._unreachable_since: float | None = None

    def serving(self) -> None:
        """The consumer is alone: nobody says when the load begins."""
        self._loading = True

    def loading(self) -> None:
        """The load begins."""
        self._loading, self._changed_at = True, time.monotonic()

    def progressed(self, member: Member, counts: Mapping[str, int]) -> None:
        """A member says how far it is; called before that is among its counts."""
        moved = {name: count for name, count in counts.items() if name in ("done", "received")}
        if any(member.counts.get(name) != count for name, count in moved.items()):
            self._changed_at = time.monotonic()
            self._failing = phases.Failing()
        if counts.get("errors", 0) > member.counts.get("errors", 0):
            self._failing.add(time.monotonic() - self._changed_at)

    def failed(self, member: Member, failure: events.Failed) -> None:
        """A member says why it ends."""
        member.failure = failure.text
        self._unanswered = failure.unanswered
        self.bad_usage = self.bad_usage or (failure.usage and self.because is None)
        self.end(failure.text, failure.likely, ask_broker=failure.late)

    def ended(self, member: Member, status: int | None) -> None:
        """A member has ended, with this exit status."""
        if not member.saved and not member.failure:
            how = "is lost" if status is None else f"died (status {status})"
            text = f"the {member.name} process {how}: {member.last_words()}"
            if self._goes_on_without(member):
                self.because = self.because or text
            else:
                self.end(text)
        elif "producer" in member.sides:
            if not self._running("producer"):
                self._producer_ended_at = time.monotonic()
        elif self._producer_ended_at is None and self._of("producer"):
            wanted = self._plan.load.messages
            # Once they save, all is sent that will be: a consumer that was told so may end first.
            over = all(each.saved or each.phase.is_saving for each in self._of("producer"))
            has_all = over or (wanted is not None and self._counted("received") >= wanted)
            if not self._running("consumer") and not has_all:
                self.end("the consumer ended before the producer")

    def _of(self, side: str) -> list[Member]:
        return [each for each in self._members.values() if side in each.sides]

    def _running(self, side: str) -> list[Member]:
        return [each for each in self._of(side) if each.running]

    def _counted(self, name: str) -> int:
        return sum(each.counts.get(name, 0) for each in self._members.values())

    def _goes_on_without(self, member: Member) -> bool:
        """Whether others of its side do what it did."""
        return self._loading and any(self._running(side) for side in member.sides)

    def end(self, because: str, likely: str = "", ask_broker: bool = False) -> None:
        """Note why the run ends early, the first reason, and ask the producer to stop.

        ``likely`` is what it may come from, unless the broker can be asked and says what it is.
        """
        first = self.because is None
        self.because = self.because or because
        if self._stopping_since is None:
            self._stopping_since = time.monotonic()
            for producer in self._of("producer"):
                producer.stop()
        if not first:
            return
        said = self._broker.explanation(self._unanswered) if ask_broker else ""
        if said or likely:
            self.because = f"{because}: {said or likely}"

    def decide(self) -> None:
        """Look whether it is time to end, and see to it that what was asked to end does."""
        now = time.monotonic()
        if self._interrupts.count and self._stopping_since is None:
            self.end("interrupted")
        if self._interrupts.count > 1:
            for member in self._members.values():
                member.kill()
        if self._stopping_since is not None:
            self._enforce_stop(now)
        elif self._producer_ended_at is not None:
            self._let_consumer_drain(now)
        else:
            self._watch(now)

    def _let_consumer_drain(self, now: float) -> None:
        saving = [each for each in self._running("consumer") if each.phase.is_saving]
        if saving:
            if overdue := [text for each in saving if (text := each.phase.overdue())]:
                self.end(overdue[0])
            return
        quiet_since = max(self._changed_at, self._producer_ended_at or 0.0)
        if now - quiet_since > DRAIN_S:
            self._stopping_since = now

    def _enforce_stop(self, now: float) -> None:
        since = now - (self._stopping_since or now)
        producing = [each for each in self._running("producer") if not each.saved]
        if not (self._loading and producing) or since > CONSUMER_GRACE_S:
            for consumer in self._of("consumer"):
                if not set(consumer.sides) & {"producer"}:
                    consumer.stop()
        for member in self._members.values():
            if since > self._patience_s(member):
                member.kill()

    def _patience_s(self, member: Member) -> float:
        """How long after the request to end a side may still run."""
        # Before the load there is next to nothing to write.
        if member.saved or not self._loading:
            return STOP_S
        # Nobody waits for a run that came to its end: what was measured is worth the time.
        if not self.because and member.phase.is_saving:
            return phases.SAVE_S
        return ASKED_SAVE_S

    def _watch(self, now: float) -> None:
        if self._broker.has_died():
            self.end("the embedded broker died")
            return
        for member in self._members.values():
            if overdue := member.phase.overdue():
                self.end(overdue, member.last_error(), ask_broker=True)
                return
        if not self._loading:
            return
        quiet_s = now - self._changed_at
        self._watch_failures(quiet_s)
        self._watch_refusals(quiet_s)
        self._watch_broker(now, quiet_s)

    def _watch_failures(self, quiet_s: float) -> None:
        producers = self._of("producer")
        if not producers or any(each.phase.limit_s is not None for each in producers):
            return
        ended = self._counted("done") + self._counted("errors")
        wanted = self._plan.load.messages
        if wanted is not None and ended >= wanted:
            # Nothing is left that could get through: the profilers come to their end.
            return
        limit_s = phases.quiet_limit_s(self._plan, self._timeout_s)
        if quiet_s > limit_s or self._failing.is_all(self._timeout_s, STALLED_S):
            errors = filter(None, (each.last_error() for each in producers))
            likely = next(errors, "the consumer or the broker is gone")
            self.end(f"no message got through for {quiet_s:.0f} s", likely, ask_broker=True)

    def _watch_refusals(self, quiet_s: float) -> None:
        """End a load in which nothing moves and the broker has refused for long what it needs."""
        if not self._of("producer"):
            return
        if refusal := self._broker.refusal(quiet_s):
            self.end(f"nothing gets through any more: {refusal}")

    def _watch_broker(self, now: float, quiet_s: float) -> None:
        """End a load in which nothing moves and the broker takes no connection any more."""
        if quiet_s < STALLED_S or now - self._tried_at < STALLED_S / 2:
            return
        self._tried_at = now
        if self._broker.is_reachable():
            self._unreachable_since = None
            return
        self._unreachable_since = self._unreachable_since or now
        if now - self._unreachable_since >= BROKER_GONE_S:
            self.end(f"the broker at {self._broker.name} cannot be reached any more")
