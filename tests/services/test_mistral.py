"""mistral under omrig: casts, and calls from within endpoints."""

import pytest

from tests.services import mistral
from tests.services.fleet import in_their_turn

pytestmark = pytest.mark.timeout(600)

EXECUTIONS = 20

MESSAGES = 13
"""Of one execution: a call to start it, and four casts a task."""


def test_the_messages_of_each_workflow_are_joined(broker, fleet, folder):
    with mistral.running(folder, broker.url, fleet.under) as service:
        service.define()
        service.execute(1)
        with fleet.recorded() as recording:
            assert service.execute(EXECUTIONS) == {"SUCCESS": EXECUTIONS}
    assert recording.status == 0, recording.said
    result = recording.result()
    assert result.sent == result.served == result.matched == EXECUTIONS * MESSAGES, in_their_turn(
        result
    )
    patterns = {each.name.pattern for each in result.methods}
    assert patterns == {"call", "cast"}
    assert result.closure.negative_stages == 0
    assert result.requests.count == EXECUTIONS
    assert result.requests.mean_messages == MESSAGES
    assert any(each.endpoint_nested for each in result.methods)
