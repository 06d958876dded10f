"""Which drivers are known, and what their maps say of them."""

import pytest

from omrig.drivers import driver, settings
from omrig.drivers.maps import PATTERNS
from omrig.model.errors import UsageError
from omrig.model.load import Load
from omrig.model.patterns import PATTERNS as SENT
from omrig.model.plan import Plan
from omrig.model.transport import KAFKA, Login, Transport


@pytest.mark.parametrize(
    ("scheme", "name", "logs_in"),
    [
        ("rabbit", "impl_rabbit", True),
        ("kombu", "impl_rabbit", True),
        ("kombu+rabbit", "impl_rabbit", True),
        ("kombu+amqp", "impl_rabbit", True),
        ("kombu+memory", "kombu_memory", False),
        ("fake", "impl_fake", False),
        ("kafka", "impl_kafka", False),
    ],
)
def test_a_driver_is_known_by_its_scheme(scheme, name, logs_in):
    found = driver.by_scheme(scheme, "--transport-url")
    assert (found.name, found.logs_in) == (name, logs_in)


def test_no_scheme_is_of_two_drivers():
    schemes = [scheme for each in driver.known() for scheme in each.schemes]
    assert len(schemes) == len(set(schemes)) == 7


def test_every_driver_carries_what_can_be_sent_but_one_without_rpc():
    assert set(SENT) <= set(PATTERNS)
    for each in driver.known():
        carried = {"notify"} if each.broker == KAFKA else set(SENT)
        assert carried <= set(each.patterns)


@pytest.mark.parametrize(
    ("scheme", "said"),
    [
        (
            "amqp",
            "--transport-url: omrig sends over rabbit, kombu+memory, kafka or fake, not over",
        ),
    ],
)
def test_a_driver_that_cannot_be_measured_is_refused(scheme, said):
    with pytest.raises(UsageError) as caught:
        driver.by_scheme(scheme, "--transport-url")
    assert str(caught.value).startswith(said)


def test_a_pattern_that_the_driver_does_not_carry_is_refused():
    transport = Transport(
        scheme="mine", broker="memory", patterns=("notify", "cast"), login=Login(()), options={},
        settings={}, redacted="mine:///", source="f", is_named=True, url="mine://",
    )  # fmt: skip
    settings.check_pattern(
        transport, Plan(sides=("producer",), run_id="1", load=Load(pattern="cast"))
    )
    with pytest.raises(UsageError, match="--pattern: mine:// does not carry 'call'; choose from"):
        settings.check_pattern(
            transport, Plan(sides=("producer",), run_id="1", load=Load(pattern="call"))
        )
