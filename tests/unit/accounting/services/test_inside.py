"""What endpoints sent: their own time and that of nested messages, and the requests' trees."""

import pytest

from omrig.accounting.services.result import account
from tests.recorded import BEGAN, MS, SECOND, US, Fleet

COUNT = 60
TOOK = 860 * US
"""What a call takes beside its endpoint."""


def only(found, name):
    (method,) = found.called(name)
    return method


def nested(spans, endpoint_ns=20 * MS, parent=True):
    """Calls whose endpoints send others: (ms after their beginning, ms that those take)."""
    fleet = Fleet()
    api, middle, last = (fleet.process(name) for name in ("api", "middle", "last"))
    for number in range(COUNT):
        request = number + 1 << 24
        outer = fleet.call(
            api, middle, "outer", at=number * 50 * MS, endpoint_ns=endpoint_ns, computing=0.1,
            request=request,
        )  # fmt: skip
        for after, lasts in spans:
            at = outer.endpoint - BEGAN + after * MS
            fleet.call(
                middle, last, "inner", at=at, endpoint_ns=lasts * MS - TOOK, request=request,
                parent=outer if parent else None,
            )  # fmt: skip
    return fleet


@pytest.mark.parametrize(
    ("spans", "inside"),
    [
        ([(1, 5)], 5),
        ([(1, 5), (10, 4)], 9),
        ([(1, 5), (3, 5)], 7),
        ([(1, 9), (3, 2), (4, 3)], 9),
        ([(1, 5), (6, 5)], 10),
        # It goes on after the endpoint has returned.
        ([(15, 30)], 5),
        ([(25, 3)], 0),
    ],
)
def test_what_an_endpoint_sends_at_the_same_time_counts_once(tmp_path, spans, inside):
    found = account(nested(spans).write(tmp_path))
    outer = only(found, "outer")
    total = outer.latency.mean
    assert outer.endpoint_nested == pytest.approx(inside * MS / total)
    assert outer.endpoint_own == pytest.approx((20 - inside) * MS / total)
    assert outer.total_ns - outer.self_ns == COUNT * inside * MS
    assert outer.computing == pytest.approx(2 / (20 - inside))
    inner = only(found, "inner")
    assert inner.self_ns == inner.total_ns
    assert sum(method.share for method in found.methods) == pytest.approx(1)


def test_methods_are_by_their_own_time(tmp_path):
    found = account(nested([(1, 18)]).write(tmp_path))
    assert [method.name.method for method in found.methods] == ["inner", "outer"]
    inner, outer = found.methods
    assert inner.share == pytest.approx(18 / (18 + 2 + TOOK / MS), rel=0.01)
    assert "of the endpoint's time 90 % is in messages that it sends" in [
        line.text.partition(",")[0] for line in outer.verdict.evidence
    ]


def test_each_server_with_a_copy_sends_for_itself(tmp_path):
    fleet = Fleet()
    api, one, other, last = (fleet.process(name) for name in ("api", "one", "other", "last"))
    outer = fleet.fanout(api, [one, other], "refresh", at=MS, endpoint_ns=10 * MS)
    fleet.call(other, last, "inner", at=outer.endpoint - BEGAN, endpoint_ns=2 * MS, parent=outer)
    found = account(fleet.write(tmp_path))
    method = only(found, "refresh")
    assert method.total_ns - method.self_ns == 2 * MS + TOOK


def test_what_other_threads_send_for_a_request_is_said_to_be_nobodys(tmp_path):
    found = account(nested([(1, 5)], parent=False).write(tmp_path))
    assert only(found, "outer").endpoint_nested == 0
    assert any(words.startswith(f"{COUNT} messages sent for") for words in found.not_seen)


def test_requests_have_their_messages_as_a_tree(tmp_path):
    fleet = nested([(1, 2), (4, 2), (8, 3)])
    api, middle, last = fleet.processes
    slow = fleet.call(api, middle, "outer", at=5 * SECOND, endpoint_ns=900 * MS, request=0xABC)
    fleet.cast(middle, last, "told", at=slow.endpoint - BEGAN + MS, parent=slow, request=0xABC)
    fleet.cast(api, middle, "alone", at=6 * SECOND)
    requests = account(fleet.write(tmp_path)).requests
    assert (requests.count, requests.without, requests.most_messages) == (COUNT + 1, 1, 4)
    assert requests.mean_messages == pytest.approx((4 * COUNT + 2) / (COUNT + 1))
    (root,) = requests.typical.tree
    assert (root.label, root.count, root.begin_ns) == ("call topic outer", 1, 0)
    assert root.total_ns - root.self_ns == 7 * MS
    (inner,) = root.children
    assert (inner.label, inner.count, inner.total_ns) == ("call topic inner", 3, 7 * MS)
    assert inner.begin_ns == slow.endpoint - slow.call + MS
    assert len(requests.slowest) == 10
    slowest = requests.slowest[0]
    assert (slowest.id, slowest.messages) == ("req-00000000-0000-abc", 2)
    assert slowest.methods == {"call topic outer": 1, "cast topic told": 1}
    assert slowest.duration_ns == pytest.approx(900 * MS + TOOK)


def test_who_sends_a_request_may_serve_a_part_of_it(tmp_path):
    fleet = Fleet()
    api, middle = fleet.process("api"), fleet.process("middle")
    outer = fleet.call(api, middle, "outer", at=MS, endpoint_ns=9 * MS, request=5)
    fleet.cast(middle, api, "told", at=outer.endpoint - BEGAN, parent=outer, request=5)
    found = account(fleet.write(tmp_path))
    assert not any("own thread" in words for words in found.not_seen)
    assert found.requests.count == 1
