"""One broker for all faults, and one that speaks TLS."""

import pytest

from tests.accuracy import bench as running


@pytest.fixture(scope="session")
def bench():
    with running.bench(messages=300) as bench:
        yield bench


@pytest.fixture(scope="session")
def tls_bench():
    with running.bench(messages=300, tls=True) as bench:
        yield bench
