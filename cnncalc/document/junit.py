"""Results as JUnit's XML, the form of test results that most CI servers read.

As the schema of the Jenkins plugin has it: suites with their counts, and in each its cases, with at
most one failure, error or reason for skipping it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cnncalc.document.blocks import Place
from cnncalc.document.github import in_repository
from cnncalc.text import visible


class Case(NamedTuple):
    """One test; of ``failure``, ``error`` and ``skipped`` at most one is not empty. ``output`` is all else it says."""

    name: str
    place: Place | None = None
    failure: str = ""
    error: str = ""
    skipped: str = ""
    output: str = ""


class Suite(NamedTuple):
    """Tests that go together."""

    name: str
    cases: Sequence[Case]


def render(name: str, suites: Iterable[Suite]) -> str:
    """The whole file."""
    from xml.etree import ElementTree as ET

    several = list(suites)
    totals = _counts([case for suite in several for case in suite.cases])
    del totals["skipped"]
    root = ET.Element("testsuites", {"name": name, **totals})
    for suite in several:
        node = ET.SubElement(root, "testsuite", {"name": visible(suite.name), **_counts(suite.cases)})
        for case in suite.cases:
            test = ET.SubElement(node, "testcase", classname=visible(suite.name), name=visible(case.name), time="0")
            file, line, _ = case.place or ("", 0, 0)
            if file:
                test.set("file", visible(in_repository(file)))
                if line:
                    test.set("line", str(line))
            for tag, text in (("failure", case.failure), ("error", case.error), ("skipped", case.skipped)):
                if text:
                    first, _, rest = visible(text, keep="\n").partition("\n")
                    ET.SubElement(test, tag, message=first).text = f"{first}\n{rest}" if rest else None
            if case.output:
                ET.SubElement(test, "system-out").text = visible(case.output, keep="\n")
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _counts(cases: Sequence[Case]) -> dict[str, str]:
    counts = {
        "tests": len(cases),
        "failures": sum(bool(case.failure) for case in cases),
        "errors": sum(bool(case.error) for case in cases),
        "skipped": sum(bool(case.skipped) for case in cases),
    }
    return {name: str(count) for name, count in counts.items()}
