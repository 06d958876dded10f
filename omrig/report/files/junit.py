"""A comparison as JUnit XML, as continuous integration shows it: a test case a gate."""

import re
from xml.etree import ElementTree

from omrig.compare.comparison import Comparison
from omrig.report import comparison_text

_SUITE = "omrig compare"

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML 1.0 document may hold, not even escaped."""


def render(comparison: Comparison) -> str:
    """The XML document.

    A gate that was not met is a failure, an undecided one is skipped. The call is a test case that
    never fails: a change is only wrong where a gate says so.
    """
    outcomes = [ruling.outcome for ruling in comparison.rulings]
    counts = {
        "tests": str(len(outcomes) + 1),
        "failures": str(outcomes.count("failed")),
        "errors": "0",
        "skipped": str(outcomes.count("undecided")),
    }
    suites = ElementTree.Element("testsuites", {"name": _SUITE, **counts})
    suite = ElementTree.SubElement(suites, "testsuite", {"name": _SUITE, **counts})
    case = _case(suite, "call", "comparison")
    lines = [comparison.call.text]
    lines += [f"unstable: {each.text}" for each in comparison.instabilities]
    lines += [f"differs: {comparison_text.difference(each)}" for each in comparison.differences]
    ElementTree.SubElement(case, "system-out").text = _clean("\n".join(lines))
    for ruling in comparison.rulings:
        case = _case(suite, ruling.gate.text, "gate")
        line = _clean(comparison_text.ruling(ruling))
        if ruling.outcome == "failed":
            failure = ElementTree.SubElement(case, "failure", {"message": line, "type": "gate"})
            failure.text = _clean(comparison.call.text)
        elif ruling.outcome == "undecided":
            ElementTree.SubElement(case, "skipped", {"message": line})
        else:
            ElementTree.SubElement(case, "system-out").text = line
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=False) + "\n"


def _case(suite: ElementTree.Element, name: str, kind: str) -> ElementTree.Element:
    about = {"name": _clean(name), "classname": f"omrig.compare.{kind}"}
    return ElementTree.SubElement(suite, "testcase", about)


def _clean(text: str) -> str:
    return _NOT_XML.sub("�", text)
