"""oslo.messaging's own tests of what the stage instrument touches, with it in for every second.

``tools/own_tests.py`` runs all of them, and those of kombu and py-amqp.
"""

import sys

from tools.own_tests import PASSED, REFERENCE, differences, oslo_messaging, run

TOUCHED = (
    *("rpc.test_client", "rpc.test_dispatcher", "drivers.test_pool", "drivers.test_amqpdriver"),
    *("rpc.test_server:TestRPCServer", "rpc.test_server:TestMultipleServers"),
    *("drivers.test_impl_rabbit:TestSendReceive", "drivers.test_impl_rabbit:TestRacyWaitForReply"),
    *("drivers.test_impl_rabbit:TestRequestWireFormat",),
    *("drivers.test_impl_rabbit:TestReplyWireFormat",),
)
"""The modules and classes that pass the functions that are touched, less those that only sleep."""

FEWEST = 300
"""There are about 500; with fewer the names above are no longer those of the tests."""


def test_they_end_as_they_do_without_it(tmp_path):
    suite = oslo_messaging(TOUCHED)
    switched = run(sys.executable, suite, "switched", "", tmp_path)
    assert not switched.died
    assert switched.recorded["stamps"] > 0
    assert len(switched.outcomes) > FEWEST
    if switched.count(PASSED) < len(switched.outcomes):
        # Then only it matters whether the instrument has anything to do with it.
        reference = run(sys.executable, suite, REFERENCE, "", tmp_path)
        assert differences(reference, switched) == []
