"""One broker for all faults, and one that speaks TLS."""

import pytest

from tools import faults


@pytest.fixture(scope="session")
def bench():
    with faults.bench(messages=300) as bench:
        yield bench


@pytest.fixture(scope="session")
def tls_bench():
    with faults.bench(messages=300, tls=True) as bench:
        yield bench
