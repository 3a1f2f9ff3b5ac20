"""The pytest plugin, in runs of pytest of their own."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.ci.conftest import BROKEN, FREE, SPEC

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def alone(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Runs with this plugin and no other, installed or not.

    In processes of their own: pytester takes modules that a run has loaded out again, and PyYAML's C part,
    loaded a second time, makes events of classes that are no longer those of the package.
    """
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "cnncalc.pytest_plugin")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    (pytester.path / "models").mkdir()
    (pytester.path / "models" / "a.yaml").write_text(SPEC)
    (pytester.path / "models" / "free.yaml").write_text(FREE)
    (pytester.path / "models" / "other.yaml").write_text("budget: 3\n")
    return pytester


def test_specs_with_a_budget_are_collected_where_that_is_asked(alone: pytest.Pytester) -> None:
    result = alone.runpytest_subprocess("--cnncalc", "-v", "models")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "models/a.yaml::params max FAILED*",
            "models/a.yaml::macs max PASSED*",
            "models/a.yaml::macs min PASSED*",
            "models/a.yaml:8: params: 108 is over the max of 100 by 8 (8.0 %)",
        ]
    )
    assert "Traceback" not in result.stdout.str()
    assert alone.runpytest_subprocess("models").ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_one_limit_can_be_chosen(alone: pytest.Pytester) -> None:
    alone.runpytest_subprocess("--cnncalc", "models/a.yaml::macs max").assert_outcomes(passed=1)


def test_a_spec_that_cannot_be_read_fails_with_its_message(alone: pytest.Pytester) -> None:
    (alone.path / "models" / "broken.yaml").write_text(BROKEN + "budget: {params: {max: 3}}\n")
    result = alone.runpytest_subprocess("--cnncalc", "models/broken.yaml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*broken.yaml:3:5: error: there is no layer or block 'cnv'", "*did you mean 'conv'?"])


def test_the_fixture(alone: pytest.Pytester) -> None:
    alone.makepyfile(
        """
        import cnncalc

        def test_the_budget_of_the_spec(cnncalc_check):
            cnncalc_check("models/a.yaml")

        def test_other_limits(cnncalc_check):
            more = {"weights": "1KiB", "receptive_field": 3}
            report = cnncalc_check("models/a.yaml", params={"max": 108, "min": "0.1k"}, macs=3888, **more)
            assert [one.value for one in report.checks] == [108, 108, 3888, 3888, 3, 432]

        def test_a_variant(cnncalc_check):
            cnncalc_check("models/a.yaml", variant="narrow")

        def test_arguments_input_and_batch(cnncalc_check):
            # one filter of 27 weights, on one position, twice
            limits = {"min": 54, "max": 54}
            cnncalc_check("models/a.yaml", args={"width": 1}, input=(3, 3, 3), batch=2, macs=limits)

        def test_a_graph(cnncalc_check):
            cnncalc_check(cnncalc.load("vgg11"), params="133M")

        def test_nothing_to_check(cnncalc_check):
            cnncalc_check("models/free.yaml")

        def test_a_metric_that_there_is_none_of(cnncalc_check):
            cnncalc_check("models/a.yaml", parms=3)

        def test_a_file_that_there_is_none_of(cnncalc_check):
            cnncalc_check("models/b.yaml")
        """
    )
    result = alone.runpytest_subprocess()
    result.assert_outcomes(passed=4, failed=4)
    result.stdout.fnmatch_lines(
        [
            '>       cnncalc_check("models/a.yaml")',
            "E       Failed: models/a.yaml breaks its budget",
            "E         params: 108 is over the max of 100 by 8 (8.0 %)",
            "E       Failed: models/free.yaml: there is nothing to check: give a budget, e.g. params='26M'",
            "E       Failed: unknown metric 'parms'",
            "E         hint: did you mean 'params'?",
            "E       Failed: models/b.yaml: error: there is no such file",
        ]
    )
    assert "pytest_plugin.py" not in result.stdout.str(), "the plugin's own lines are of no use to anyone"


def test_a_spec_beside_the_test_is_found(alone: pytest.Pytester) -> None:
    (alone.path / "models" / "test_it.py").write_text(
        "def test_it(cnncalc_check):\n    cnncalc_check('a.yaml', params=108)\n"
    )
    alone.runpytest_subprocess().assert_outcomes(passed=1)


def test_without_its_option_nothing_of_cnncalc_is_imported(alone: pytest.Pytester) -> None:
    alone.makepyfile(
        """
        import sys

        def test_it():
            heavy = ("cnncalc", "torch", "numpy", "msgspec")
            loaded = {name for name in sys.modules if name.partition(".")[0] in heavy}
            assert loaded == {"cnncalc", "cnncalc.pytest_plugin"}
        """
    )
    alone.runpytest_subprocess("models", ".").assert_outcomes(passed=1)


def test_that_test_can_fail(alone: pytest.Pytester) -> None:
    code = (
        "import cnncalc.pytest_plugin as p, sys\nfrom cnncalc.targets import is_spec\nprint('msgspec' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert out == "True\n"


def test_the_package_declares_the_plugin() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"cnncalc": "cnncalc.pytest_plugin"}


def test_an_error_of_our_own_fails_its_item_alone(alone: pytest.Pytester) -> None:
    """The other specs are still checked."""
    (alone.path / "models" / "b.yaml").write_text(SPEC)
    alone.makeconftest(
        """
        import cnncalc.api

        load = cnncalc.api.load

        def broken(source, **options):
            if source.name == "a.yaml":
                raise IndexError("tuple index out of range")
            return load(source, **options)

        cnncalc.api.load = broken
        """
    )
    result = alone.runpytest_subprocess("--cnncalc", "-v", "models")
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(["*a.yaml::can be read FAILED*", "*IndexError: tuple index out of range*"])
