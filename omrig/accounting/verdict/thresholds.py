"""The limits of the verdict, each with its reason."""

MIN_MESSAGES = 50
"""Messages with a timeline below which shares are chance."""

MAX_UNEXPLAINED = 0.05
"""Share of the end-to-end time that may be in no stage before the books count as open."""

MIN_MATCHED = 0.9
"""Share of the messages that must have a whole timeline before it speaks for all of them."""

MAX_NEGATIVE = 0.01
"""Share of the messages that may have a stage below zero before no stage is believed."""

DOMINANT = 0.5
"""An owner with more than this share of the time is named alone."""

ONE_SIDED = 0.9
"""A side with this share of the processes' waiting is named as the one whose process it is."""

SATURATED_CPU = 0.9
"""CPU seconds per second from which one Python process has no core time left."""

IDLE_CPU = 0.5
"""CPU seconds per second up to which CPU work cannot be why a process does not get round to it."""

UNFAIR = 20
"""A p99 above this many times the p50 is a tail: a few messages pay for the others."""

RWND_LIMITED = 0.1
"""Share of the time with a full receive window from which a sender's waiting hides in AMQP."""

HELD_BACK = 0.5
"""Part of a stage that messages must have waited for prefetch before it is the reason."""

UNREAD_BYTES = 64 * 1024
"""Bytes unread in a socket from which the backlog is on our side of the connection."""

NETWORK_EXPLAINS = 0.5
"""Part of a stage that round trips must explain before the network is the reason."""

RETRANSMITS = 0.01
"""Retransmitted segments per message from which loss delays enough messages to be the reason."""

BLOCKED_SHARE = 0.1
"""Part of a stage's time that the broker's blocking must be able to explain to be the reason."""

SLOW_ENDPOINT = 0.1
"""Share of the time from which the endpoint is what keeps the executor's pool busy."""

SENT_INSIDE = 0.1
"""Part of endpoints' time in messages that they send from which these may be the reason."""

LEAST_INSIDE = 0.005
"""Part of endpoints' time in messages that they send from which it is told."""

FULL_MACHINE = 0.9
"""Busy share of all cores from which it is the machine that limits the run: whatever runs next
waits for a core."""

CORE_WAIT = 1.0
"""Seconds for which a process' threads waited for a core per second that they ran on one, from
which most of what it takes for anything is this wait."""

CORE_WAIT_SEEN = 0.1
"""Threads that wait for a core, on average, below which it is no matter: a process that has hardly
anything to do."""

TAIL_SHARE = 0.05
"""Share of the time from which a stage with a tail is worth a line."""

TAIL_OF_LATENCY = 0.5
"""A stage whose p99 is above this part of the end-to-end p99 makes the tail ..."""

TAIL_OF_MEAN = 0.1
"""... and goes unseen in the mean while it is below this part of it."""

HELD_SEEN = 0.01
"""Part of a stage in which messages waited for prefetch that is worth a line."""

COMB_SHARE = 0.1
"""Share of the time from which a stage that comes in steps is worth a line."""

QUEUED = 0.1
"""Part of the time of held messages in queues behind others from which it is told."""

BLOCKING = 0.5
"""Part of the time in which nothing moved that a blocking has to have lasted to be why."""

SLOW_MEMBER = 0.75
"""Part of the middle producer's rate below which a producer is the slow one: those of a quiet
machine differ by a few percent."""

UNEVEN_SHARE = 1.5
"""How many times its even share a consumer has got that stands out: as many more as it would take
for half of the others to be without work."""

LONGEST_REASON = 60
"""Characters of a broker's own words that are quoted."""
