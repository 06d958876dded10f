"""What the verdict is told beside the times of the stages."""

from omrig.accounting import network, prefetch, slicing, usage
from omrig.accounting.slicing import Slicing
from omrig.model.facts import Facts
from omrig.model.patterns import PATTERNS
from omrig.model.result import Result
from omrig.model.run import Run
from omrig.recordings import series
from omrig.recordings.recording import Sides


def of(sides: Sides, result: Result, sliced: Slicing | None, quiet: bool) -> Facts:
    """The facts of a run, of the messages that the verdict is on as the ``result`` has them.

    ``quiet`` says that its stages are of the slices without what slows the run.
    """
    some = next(iter(sides.values())).run
    serving, sending = (
        sides[name].run if name in sides else some for name in ("consumer", "producer")
    )
    used = {name: each.cpu_share for name, each in result.resources.items() if each}
    broker = used.pop(series.BROKER, None)
    # Of one process: what limits it is its own core, however many there are.
    used = {name: share / _processes(sides, name) for name, share in used.items()}
    server = result.resources.get(series.BROKER)
    return Facts(
        workers=some.plan.workers,
        processes={name: len(side.parts) for name, side in sides.items() if len(side.parts) > 1},
        pool_size=sending.pools["rpc_conn_pool_size"],
        reply_pool_size=serving.pools["rpc_conn_pool_size"],
        executor_pool_size=serving.pools["executor_thread_pool_size"],
        prefetch={side: prefetch.limit(each.run) for side, each in sides.items()},
        held=result.held or {},
        combs=result.quantised or {},
        blocked=[block for each in sides.values() for block in network.blocked(each)],
        outages=result.outages or (),
        broker_nodes=usage.nodes(some),
        quorum=_quorum(some),
        native_heartbeat=bool(some.driver_option("heartbeat_in_pthread", False)),
        network={side: found for side, each in sides.items() if (found := network.of(each))},
        cpu_share={**used, **slicing.cpu_share(sliced, profiled=not quiet)},
        broker_cpu_share=broker,
        broker_core_wait=server.sampled.core_wait_mean if server and server.sampled else None,
        machines=result.machines,
        is_measurement=some.transport.is_measurement,
        # Sides that were started one by one may differ.
        sample=max(each.run.plan.sample for each in sides.values()),
        spread=result.spread,
    )


def _processes(sides: Sides, side: str) -> int:
    return len(sides[side].members) if side in sides else 1


def _quorum(run: Run) -> frozenset[str]:
    """The wires on which messages wait in a quorum queue."""
    request = PATTERNS[run.plan.pattern].copies
    queues = {
        "amqp_request": "rabbit_transient_quorum_queue" if request else "rabbit_quorum_queue",
        "amqp_reply": "rabbit_transient_quorum_queue",
    }
    # A stream is no quorum queue, whatever the others of its kind are.
    streams = request and run.driver_option("rabbit_stream_fanout", False)
    return frozenset(
        stage
        for stage, option in queues.items()
        if run.driver_option(option, False) and not (streams and stage == "amqp_request")
    )
