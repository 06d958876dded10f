"""Others' tests in this process, with the stage instrument or without; started by own_tests.py.

    own_tests_inside.py VARIANT OUTCOMES unittest MODULE[:CLASS] ...
    own_tests_inside.py VARIANT OUTCOMES pytest ARGUMENT ...

Writes into the file ``OUTCOMES`` a line of JSON a test, as soon as it has ended, and a last one
with what was recorded: without that line the process has died.
"""

import contextlib
import json
import sys
import traceback
import unittest
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

import pytest

VARIANTS = ("without", "on", "switched")
"""Never in; in from before the first test to after the last; in for every second test."""

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


class Course:
    """The instrument's ways through a run of tests, and what came of them."""

    def __init__(self, variant: str, file: TextIO) -> None:
        self._variant = variant
        self._file = file
        self._inside = contextlib.ExitStack()
        self._message = contextlib.ExitStack()
        self._tests = 0

    def begin(self) -> None:
        """Before the first test, when all of them have been imported."""
        if self._variant == "on":
            self._put_in()

    def before_test(self) -> None:
        """Switch, where it is to be switched; what the last test left alive goes through it."""
        self._tests += 1
        if self._variant == "switched":
            if self._tests % 2:
                self._put_in()
            else:
                self._inside.close()
        if self._variant == "on" or (self._variant == "switched" and self._tests % 2):
            import instrumented

            self._message.enter_context(instrumented.message())

    def after_test(self) -> None:
        """End the message that was under way."""
        self._message.close()

    def outcome(self, test: str, outcome: str, why: str = "") -> None:
        """Note how a test ended; the last word on it counts."""
        self._write({"test": test, "outcome": outcome, "why": why})

    def end(self) -> None:
        """After the last test."""
        self._inside.close()
        if self._variant == "without":
            self._write({"end": {}, "implementation": ""})
        else:
            import instrumented

            self._write(
                {"end": instrumented.recorded(), "implementation": instrumented.implementation()}
            )

    def _put_in(self) -> None:
        # Not before: the tests decide what eventlet patches, and when.
        import instrumented

        self._inside.enter_context(instrumented.instrument())

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()


class UnittestOutcomes(unittest.TestResult):
    """Notes outcomes for unittest."""

    def __init__(self, course: Course) -> None:
        super().__init__()
        self._course = course

    def startTest(self, test: unittest.TestCase) -> None:
        self._course.before_test()
        super().startTest(test)

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        self._course.after_test()

    def addSuccess(self, test: unittest.TestCase) -> None:
        self._course.outcome(test.id(), PASSED)

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        self._failed(test, err)

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        self._failed(test, err)

    def addSubTest(self, test: unittest.TestCase, _: unittest.TestCase, err: Any) -> None:
        if err is not None:
            self._failed(test, err)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self._course.outcome(test.id(), SKIPPED, reason)

    def addExpectedFailure(self, test: unittest.TestCase, _: Any) -> None:
        self._course.outcome(test.id(), PASSED, "fails as expected")

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        self._course.outcome(test.id(), FAILED, "passes, which was not expected")

    def _failed(self, test: unittest.TestCase, err: Any) -> None:
        self._course.outcome(test.id(), FAILED, "".join(traceback.format_exception(*err)))


class PytestOutcomes:
    """Notes outcomes for pytest: a plugin."""

    def __init__(self, course: Course) -> None:
        self._course = course

    def pytest_collection_finish(self) -> None:
        self._course.begin()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Iterator[None]:
        self._course.before_test()
        try:
            return (yield)
        finally:
            self._course.after_test()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed:
            why = "" if report.passed else str(report.longrepr)
            self._course.outcome(report.nodeid, report.outcome, why)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._course.outcome(report.nodeid, FAILED, str(report.longrepr))


def run_unittest(course: Course, names: Sequence[str]) -> None:
    """Run the tests of modules, or of one class in them.

    Modules are loaded whole: only so are tests multiplied by their scenarios.
    """
    # Before any of its modules: the package patches the process.
    __import__(names[0].partition(".")[0])
    modules = dict.fromkeys(name.partition(":")[0] for name in names)
    suite = unittest.TestSuite()
    for test in _each(unittest.defaultTestLoader.loadTestsFromNames(list(modules))):
        test_class = f"{type(test).__module__}:{type(test).__qualname__}"
        if test_class in names or type(test).__module__ in names:
            suite.addTest(test)
    course.begin()
    suite.run(UnittestOutcomes(course))


def _each(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from _each(test)
        else:
            yield test


def main() -> None:
    """Run the tests that the command line names."""
    variant, file, runner, *arguments = sys.argv[1:]
    with open(file, "w", encoding="utf-8") as outcomes:  # noqa: PTH123
        course = Course(variant, outcomes)
        if runner == "unittest":
            run_unittest(course, arguments)
        elif (
            pytest.main(arguments, plugins=[PytestOutcomes(course)]) > pytest.ExitCode.TESTS_FAILED
        ):
            raise SystemExit("pytest did not run them all")
        course.end()


if __name__ == "__main__":
    main()
