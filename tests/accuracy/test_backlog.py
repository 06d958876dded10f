"""What waits unread is the reader's lag and not AMQP's, with TLS as without."""

import pytest

from tests.accuracy.backlog import WORKERS, stopped_reader


def assert_is_our_lag(found):
    closure = found.run.result["closure"]
    assert closure["matched"] == closure["messages"]
    assert closure["negative_stages"] == closure["flagged_arrivals"] == 0
    assert found.most > WORKERS / 4
    assert found.counted_ns > 0.98 * found.unread_ns


@pytest.mark.parametrize(
    ("executor", "side"), [("threading", "consumer"), ("eventlet", "producer")]
)
def test_a_stopped_reader_lags_with_tls(tls_bench, executor, side):
    assert_is_our_lag(stopped_reader(tls_bench, executor, side))


def test_a_stopped_reader_lags(bench):
    assert_is_our_lag(stopped_reader(bench, "threading", "consumer"))
