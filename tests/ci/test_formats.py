"""What CI servers read: annotations of workflows, JUnit's XML, SARIF."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cnncalc.document import junit, sarif
from cnncalc.document.blocks import Finding
from cnncalc.document.github import annotation
from tests.ci.conftest import BROKEN
from tests.commands.conftest import Run
from tests.report.draws import NASTY

FAULTY = """\
name: faulty
input: [3, 64, 64]
layers:
  - conv: {out: 32, kernel: 3, stride: 2}
  - conv_transpose: {out: 32, kernel: 3, stride: 2, padding: 1}
"""
texts = st.text(st.sampled_from("ab1 %:,=" + NASTY), max_size=12)


# -- annotations -----------------------------------------------------------------------------------


def read(line: str) -> tuple[str, dict[str, str], str]:
    """A workflow command as GitHub's runner reads it (its ActionCommand.TryParseV2)."""
    match = re.fullmatch(r"::([a-z]+)(?: ([^\n]*?))?::([^\n]*)", line)
    assert match is not None
    properties = {}
    for pair in filter(None, (match[2] or "").split(",")):
        name, _, value = pair.partition("=")
        for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
            value = value.replace(code, character)
        properties[name] = value
    message = match[3]
    for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        message = message.replace(code, character)
    return match[1], properties, message


plain = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=12)


@given(plain, plain, plain, st.integers(1, 99), st.integers(1, 99))
@example("100%25", "a,b:c%2C", "%3A=", 1, 1)
def test_the_runner_reads_back_what_was_written(message: str, file: str, title: str, line: int, column: int) -> None:
    file = f"f{file}"
    written = annotation(Finding("error", title, f"{message}\nand more", place=(file, line, column)))
    expected = {"file": file, "line": str(line), "col": str(column), "title": title}
    assert read(written) == ("error", expected, f"{message}\nand more")


@given(texts, texts, texts)
def test_an_annotation_is_one_harmless_line(message: str, file: str, title: str) -> None:
    written = annotation(Finding("warning", title, message, place=(file, 1, 1)))
    assert written.isprintable()
    level, properties, _ = read(written)
    assert level == "warning"
    assert set(properties) <= {"file", "line", "col", "title"}


def test_a_broken_limit_is_shown_where_the_spec_sets_it(run: Run, models: Path) -> None:
    result = run("check", "models", "--format", "github")
    assert result.status == 1
    *annotations, verdict = result.out.splitlines()
    assert [read(line)[:2] for line in annotations] == [
        ("error", {"file": "models/a.yaml", "line": "8", "col": "12", "title": "cnncalc check: params"})
    ]
    assert read(annotations[0])[2] == "small: params: 108 is over the max of 100 by 8 (8.0 %)"
    assert verdict == "cnncalc check: 2 nets: 1 of 3 checks failed, 1 without limits"


def test_a_limit_of_the_command_line_is_shown_at_the_file(run: Run, models: Path) -> None:
    line = run("check", "models/a.yaml", "--max", "params=1k", "--min", "params=1k", "--format", "github").out
    _, properties, message = read(line.splitlines()[0])
    assert properties == {"file": "models/a.yaml", "title": "cnncalc check: params"}
    assert message == "small: params: 108 is under the min of 1,000 by 892 (89.2 %)"


def test_a_spec_that_cannot_be_read_is_shown_at_the_fault(run: Run, models: Path) -> None:
    (models / "a.yaml").write_text(BROKEN)
    for command in ("check", "lint"):
        result = run(command, "models/a.yaml", "--format", "github")
        assert (result.status, result.err) == (2, "")
        level, properties, message = read(result.out.splitlines()[0])
        assert (level, properties["line"], properties["col"]) == ("error", "3", "5")
        assert "there is no layer or block 'cnv'" in message
        assert message.endswith("did you mean 'conv'?")


def test_paths_are_those_of_the_repository(run: Run, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(models.parent))
    monkeypatch.chdir(models)
    for path in ("a.yaml", models / "a.yaml"):
        line = run("check", path, "--format", "github").out.splitlines()[0]
        assert read(line)[1]["file"] == "models/a.yaml"


def test_findings_have_the_levels_of_github(run: Run, models: Path) -> None:
    (models / "a.yaml").write_text(FAULTY)
    *lines, verdict = run("lint", "models/a.yaml", "--format", "github").out.splitlines()
    told = [read(line) for line in lines]
    assert ("warning", "4", "CNN101 pixels-lost") in [(level, p["line"], p["title"]) for level, p, _ in told]
    assert {level for level, _, _ in told} <= {"error", "warning", "notice"}
    assert verdict.startswith("cnncalc lint: faulty: ")


# -- JUnit -----------------------------------------------------------------------------------------


def validated(text: str) -> ET.Element:
    """The root of a JUnit file that has the form of the schema of Jenkins' plugin."""
    root = ET.fromstring(text)
    assert root.tag == "testsuites"
    assert set(root.attrib) <= {"name", "time", "tests", "failures", "errors", "disabled"}
    for suite in root:
        assert suite.tag == "testsuite"
        assert {"name", "tests"} <= set(suite.attrib)
        assert set(suite.attrib) <= {"name", "tests", "failures", "errors", "skipped", "time", "file"}
        for case in suite:
            assert case.tag == "testcase"
            assert {"name", "classname"} <= set(case.attrib)
            assert set(case.attrib) <= {"name", "classname", "time", "file", "line"}
            outcomes = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
            assert len(outcomes) <= 1
            assert {child.tag for child in case} <= {"failure", "error", "skipped", "system-out"}
        for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.attrib[key]) == sum(case.find(tag) is not None for case in suite)
        assert int(suite.attrib["tests"]) == len(suite)
    for key in ("tests", "failures", "errors"):
        assert int(root.attrib[key]) == sum(int(suite.attrib[key]) for suite in root)
    return root


def test_limits_are_tests(run: Run, models: Path) -> None:
    (models / "broken.yaml").write_text(BROKEN)
    result = run("check", "models", "--output", "checks.xml")
    assert result.status == 2
    root = validated(Path("checks.xml").read_text())
    assert [(suite.attrib["name"], [case.attrib["name"] for case in suite]) for suite in root] == [
        ("models/a.yaml", ["params max", "macs max", "macs min"]),
        ("models/deep/free.yml", ["can be read"]),
        ("models/broken.yaml", ["can be read"]),
    ]
    failure = root[0][0]
    assert (failure.attrib["file"], failure.attrib["line"]) == ("models/a.yaml", "8")
    (child,) = failure
    assert (child.tag, child.attrib["message"]) == ("failure", "params: 108 is over the max of 100 by 8 (8.0 %)")
    assert root[1][0].find("skipped") is not None
    error = root[2][0].find("error")
    assert error is not None
    assert "did you mean 'conv'?" in (error.text or "")


def test_findings_are_tests_and_fail_as_lint_does(run: Run, models: Path) -> None:
    (models / "a.yaml").write_text(FAULTY)
    root = validated(run("lint", "models/a.yaml", "--format", "junit").out)
    assert root.attrib["failures"] == "0"
    assert "warning: conv1" in (root[0][0].findtext("system-out") or "")
    strict = run("lint", "models/a.yaml", "--format", "junit", "--strict")
    assert strict.status == 1
    assert int(validated(strict.out).attrib["failures"]) >= 1
    (models / "a.yaml").write_text("input: [3, 8, 8]\nlayers: [relu]\n")
    assert validated(run("lint", "models/a.yaml", "--ignore", "CNN", "--format", "junit").out).attrib["tests"] == "1"


@given(texts, texts, texts)
def test_any_text_is_valid_xml(name: str, failure: str, file: str) -> None:
    suites = [junit.Suite(name, [junit.Case(name, (file, 3, 1), failure=failure, output=name)])]
    root = validated(junit.render("x", suites))
    assert (root[0][0].find("failure") is not None) == bool(failure)


# -- SARIF -----------------------------------------------------------------------------------------

# The parts of the published schema (sarif-schema-2.1.0.json) that are used, closed as they are there.
TEXT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["text"],
    "properties": {"text": {"type": "string"}, "markdown": {"type": "string"}, "properties": {}},
}
MESSAGE = {**TEXT, "properties": {**TEXT["properties"], "id": {"type": "string"}, "arguments": {}}}  # type: ignore[dict-item]
LEVEL = {"enum": ["none", "note", "warning", "error"]}
LOCATION = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "physicalLocation": {
            "type": "object",
            "additionalProperties": False,
            "required": ["artifactLocation"],
            "properties": {
                "artifactLocation": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"uri": {"type": "string", "format": "uri-reference"}, "uriBaseId": {}},
                },
                "region": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        name: {"type": "integer", "minimum": 1}
                        for name in ("startLine", "startColumn", "endLine", "endColumn")
                    },
                },
            },
        },
        "logicalLocations": {
            "type": "array",
            "uniqueItems": True,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {name: {"type": "string"} for name in ("name", "fullyQualifiedName", "kind")},
            },
        },
    },
}
SARIF = {
    "type": "object",
    "additionalProperties": False,
    "required": ["version", "runs"],
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["tool"],
                "properties": {
                    "tool": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "additionalProperties": False,
                                "required": ["name"],
                                "properties": {
                                    "name": {"type": "string"},
                                    "version": {"type": "string"},
                                    "semanticVersion": {"type": "string"},
                                    "rules": {
                                        "type": "array",
                                        "uniqueItems": True,
                                        "items": {
                                            "type": "object",
                                            "additionalProperties": False,
                                            "required": ["id"],
                                            "properties": {
                                                "id": {"type": "string"},
                                                "name": {"type": "string"},
                                                "shortDescription": TEXT,
                                                "fullDescription": TEXT,
                                                "help": TEXT,
                                                "defaultConfiguration": {
                                                    "type": "object",
                                                    "additionalProperties": False,
                                                    "properties": {"level": LEVEL, "enabled": {}, "rank": {}},
                                                },
                                                "properties": {"type": "object"},
                                            },
                                        },
                                    },
                                },
                            }
                        },
                    },
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "invocations": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["executionSuccessful"],
                            "properties": {
                                "executionSuccessful": {"type": "boolean"},
                                "toolExecutionNotifications": {
                                    "type": "array",
                                    "items": {
                                        "type": "object",
                                        "additionalProperties": False,
                                        "required": ["message"],
                                        "properties": {
                                            "message": MESSAGE,
                                            "level": LEVEL,
                                            "locations": {"type": "array", "items": LOCATION},
                                        },
                                    },
                                },
                            },
                        },
                    },
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["message"],
                            "properties": {
                                "ruleId": {"type": "string"},
                                "ruleIndex": {"type": "integer", "minimum": -1},
                                "level": LEVEL,
                                "message": MESSAGE,
                                "locations": {"type": "array", "items": LOCATION},
                                "partialFingerprints": {
                                    "type": "object",
                                    "additionalProperties": {"type": "string"},
                                },
                                "properties": {"type": "object"},
                            },
                        },
                    },
                },
            },
        },
    },
}
SARIF_CHECK = jsonschema.Draft7Validator(SARIF, format_checker=jsonschema.FormatChecker())


def sarif_of(text: str) -> dict[str, Any]:
    """The one run of a valid SARIF file whose indices point at the right rules."""
    log = json.loads(text)
    SARIF_CHECK.validate(log)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in run["results"])
    prints = [result["partialFingerprints"]["cnncalcLayer/v1"] for result in run["results"]]
    assert len(set(prints)) == len(prints)
    return run  # type: ignore[no-any-return]


def test_sarif_points_at_the_line_and_explains_the_rule(run: Run, models: Path) -> None:
    (models / "a.yaml").write_text(FAULTY)
    assert run("lint", "models", "--output", "lint.sarif").status == 0
    one = sarif_of(Path("lint.sarif").read_text())
    lost = next(result for result in one["results"] if result["ruleId"] == "CNN101")
    (location,) = lost["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "models/a.yaml"},
        "region": {"startLine": 4, "startColumn": 5},
    }
    assert location["logicalLocations"][0]["fullyQualifiedName"] == "conv1"
    assert lost["level"] == "warning"
    rule = one["tool"]["driver"]["rules"][lost["ruleIndex"]]
    assert rule["name"] == "PixelsLost"
    assert "What would mend it" in rule["help"]["text"]


def test_fingerprints_stay_where_lines_are_added_above(run: Run, models: Path) -> None:
    def prints() -> list[str]:
        results = sarif_of(run("lint", "models/a.yaml", "--format", "sarif").out)["results"]
        return [result["partialFingerprints"]["cnncalcLayer/v1"] for result in results]

    (models / "a.yaml").write_text(FAULTY)
    before = prints()
    (models / "a.yaml").write_text("# a comment\n\n" + FAULTY)
    assert prints() == before


def test_what_cannot_be_read_is_a_notification(run: Run, models: Path) -> None:
    (models / "a.yaml").write_text(BROKEN)
    result = run("lint", "models/a.yaml", "--format", "sarif")
    assert result.status == 2
    (invocation,) = sarif_of(result.out)["invocations"]
    assert not invocation["executionSuccessful"]
    (told,) = invocation["toolExecutionNotifications"]
    assert told["locations"][0]["physicalLocation"]["region"] == {"startLine": 3, "startColumn": 5}


def test_shipped_nets_give_valid_sarif(run: Run) -> None:
    one = sarif_of(run("lint", "resnet50", "efficientnet_b0", "unet", "--format", "sarif").out)
    assert one["results"]


@given(texts)
def test_any_file_name_is_a_uri(name: str) -> None:
    log = json.loads(sarif.render([], [], [sarif.Problem(name, (f"f{name}", 1, 1))]))
    SARIF_CHECK.validate(log)
    (told,) = log["runs"][0]["invocations"][0]["toolExecutionNotifications"]
    uri = told["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri.isascii()
    assert unquote(uri) == f"f{name}"


def test_rules_cannot_be_listed_as_findings(run: Run) -> None:
    assert "there is no list of rules as sarif" in run("lint", "--rules", "--format", "sarif").err
