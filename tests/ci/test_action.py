"""The GitHub action and the hooks: their structure, and their steps, run by bash in a made-up job."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from cnncalc.report.diff import MARK
from tests.ci.conftest import FREE, SPEC, Git
from tests.commands.conftest import Run

ROOT = Path(__file__).parent.parent.parent
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS = {step.get("id", step.get("name", step.get("uses"))): step for step in ACTION["runs"]["steps"]}
bash = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")

# Stands for GitHub's: remembers what it was asked, and has the comments that the file `comments` lists.
GH = """#!/usr/bin/env bash
printf '%s\\n' "$*" >> "$GH_LOG"
if [ -f "$GH_FAILS" ]; then echo "HTTP 403" >&2; exit 1; fi
case "$*" in *--paginate*) cat "$GH_COMMENTS" 2> /dev/null || true ;; esac
"""


def test_the_action_is_a_composite_action() -> None:
    assert {"name", "description", "inputs", "outputs", "runs"} <= set(ACTION)
    assert ACTION["runs"]["using"] == "composite"
    assert all("default" in value and value["description"] for value in ACTION["inputs"].values())
    for step in ACTION["runs"]["steps"]:
        assert ("uses" in step) != ("run" in step)
        if "run" in step:
            assert step["shell"] == "bash"


def test_no_input_gets_into_a_script_but_through_the_environment() -> None:
    """An expression in a script is how a branch's name becomes a command."""
    assert not any("${{" in step.get("run", "") for step in ACTION["runs"]["steps"])
    written = (ROOT / "action.yml").read_text()
    used = set(re.findall(r"inputs\.([\w-]+)", written))
    assert used == set(ACTION["inputs"])
    ids = {step["id"] for step in ACTION["runs"]["steps"] if "id" in step}
    assert set(re.findall(r"steps\.(\w+)\.", written)) <= ids


def test_the_hooks_call_commands_that_there_are(run: Run, models: Path) -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert [hook["id"] for hook in hooks] == ["cnncalc-check", "cnncalc-lint"]
    for hook in hooks:
        assert (hook["language"], hook["types"]) == ("python", ["yaml"])
        assert {"id", "name", "description", "entry"} <= set(hook)
        program, *arguments = hook["entry"].split()
        assert program == "cnncalc"
        given = [models / "workflow.yaml", models / "deep" / "free.yml", models / "a.yaml"]
        assert run(*arguments, *given[:2]).status == 0
        assert run(*arguments, *given).status == (1 if hook["id"] == "cnncalc-check" else 0)


class Job(NamedTuple):
    """A made-up runner: ``step`` runs a step's script, ``read`` reads one of the files of the job."""

    step: Callable[..., subprocess.CompletedProcess[str]]
    read: Callable[[str], str]
    folder: Path

    def output(self, name: str) -> str:
        """The last value that a step has set for an output."""
        values = [line.partition("=")[2] for line in self.read("output").splitlines() if line.startswith(f"{name}=")]
        return values[-1] if values else ""


@pytest.fixture
def job(tmp_path_factory: pytest.TempPathFactory, git: Git, models: Path) -> Job:
    folder = tmp_path_factory.mktemp("job")
    programs = folder / "bin"
    programs.mkdir()
    for name, text in {"gh": GH, "cnncalc": f'#!/usr/bin/env bash\nexec "{sys.executable}" -m cnncalc "$@"\n'}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        "GITHUB_REPOSITORY": "owner/nets",
        "GITHUB_WORKSPACE": str(models.parent),
        "RUNNER_TEMP": str(folder),
        "GH_LOG": str(folder / "asked"),
        "GH_COMMENTS": str(folder / "comments"),
        "GH_FAILS": str(folder / "fails"),
    }

    def step(name: str, cwd: Path = models.parent, **inputs: str) -> subprocess.CompletedProcess[str]:
        unset = set(STEPS[name].get("env", {})) - set(inputs) - {"ALL_VARIANTS", "FAIL_ON", "GH_TOKEN", "DIFF"}
        assert not unset
        line = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEPS[name]["run"]]
        return subprocess.run(line, cwd=cwd, env={**environment, **inputs}, capture_output=True, text=True, timeout=300)

    def read(name: str) -> str:
        path = folder / name
        return path.read_text() if path.exists() else ""

    return Job(step, read, folder)


@pytest.fixture
def checkout(git: Git, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A shallow checkout of a pull request that widens a net: of its merge, as is usual, or of its head."""

    def make(*, merged: bool = True) -> Path:
        git("checkout", "--quiet", "-b", "topic")
        (models / "a.yaml").write_text(SPEC.replace("args: {width: 4}", "args: {width: 5}"))
        git("commit", "--quiet", "--all", "--message=wider")
        git("checkout", "--quiet", "main")
        (models / "deep" / "free.yml").write_text(FREE.replace("relu", "relu, relu"))
        git("commit", "--quiet", "--all", "--message=meanwhile on main")
        git("checkout", "--quiet", "topic")
        if merged:
            git("checkout", "--quiet", "--detach", "main")
            git("merge", "--quiet", "--no-ff", "--message=merge", "topic")
        head = git("rev-parse", "HEAD").strip()
        git("update-ref", "refs/pull/7/merge", head)
        git("config", "uploadpack.allowAnySHA1InWant", "true")
        work = tmp_path_factory.mktemp("checkout")
        git("init", "--quiet", "--initial-branch=x", cwd=work)
        git("remote", "add", "origin", f"file://{models.parent}", cwd=work)
        git("fetch", "--quiet", "--depth=1", "origin", "refs/pull/7/merge", cwd=work)
        git("checkout", "--quiet", "--detach", "FETCH_HEAD", cwd=work)
        return work

    return make


@bash
def test_the_budgets_are_checked_and_the_job_goes_on(job: Job) -> None:
    result = job.step("check", PATHS="models\n\n")
    assert result.returncode == 0
    assert "::error file=models/a.yaml,line=8,col=12," in result.stdout
    assert job.output("status") == "1"
    job.step("check", PATHS="models/deep", ALL_VARIANTS="true")
    assert job.output("status") == "0"


@bash
@pytest.mark.parametrize("merged", [True, False])
def test_the_difference_is_that_of_the_pull_request_alone(
    job: Job, checkout: Callable[..., Path], merged: bool
) -> None:
    work = checkout(merged=merged)
    result = job.step("diff", work, PATHS="models", BASE_REF="main", FAIL_ON="params>+1%\nlayers!=\n")
    assert result.returncode == 0, result.stderr
    assert job.output("status") == "1"
    report = Path(job.output("report")).read_text()
    assert report.startswith(f"{MARK}\n### Nets against origin/main\n")
    assert "✗ models/a.yaml: params" in report
    # what happened on main meanwhile is part of the merge, and of the base; the head alone lacks it
    assert ("models/deep/free.yml" in report) == (not merged)
    assert job.read("summary") == report


@bash
def test_a_difference_within_the_conditions_passes(job: Job, checkout: Callable[..., Path]) -> None:
    assert job.step("diff", checkout(), PATHS="models", BASE_REF="main", FAIL_ON="").returncode == 0
    assert job.output("status") == "0"


COMMENT = "Comment on the pull request"


@bash
def test_there_is_one_comment_and_it_is_written_anew(job: Job) -> None:
    report = job.folder / "report.md"
    report.write_text(f"{MARK}\n### Nets\n\n- nets: 1 changed; 3 files unchanged\n")
    assert job.step(COMMENT, NUMBER="7", REPORT=str(report)).returncode == 0
    asked = job.read("asked").splitlines()
    assert asked[0].startswith("api --paginate repos/owner/nets/issues/7/comments --jq ")
    assert asked[1] == f"api --silent --method POST repos/owner/nets/issues/7/comments -F body=@{report}"
    (job.folder / "comments").write_text("1234\n5678\n")
    job.step(COMMENT, NUMBER="7", REPORT=str(report))
    last = job.read("asked").splitlines()[-1]
    assert last == f"api --silent --method PATCH repos/owner/nets/issues/comments/1234 -F body=@{report}"


@bash
def test_where_nothing_changed_no_comment_begins_but_one_that_is_there_is_kept_current(job: Job) -> None:
    report = job.folder / "report.md"
    report.write_text(f"{MARK}\n### Nets\n\n- nets: no change; 3 files unchanged\n")
    job.step(COMMENT, NUMBER="7", REPORT=str(report))
    assert len(job.read("asked").splitlines()) == 1
    (job.folder / "comments").write_text("1234\n")
    job.step(COMMENT, NUMBER="7", REPORT=str(report))
    assert "PATCH" in job.read("asked").splitlines()[-1]


@bash
def test_without_the_permission_there_is_a_warning_and_no_failure(job: Job) -> None:
    (job.folder / "fails").touch()
    result = job.step(COMMENT, NUMBER="7", REPORT="none")
    assert result.returncode == 0
    assert result.stdout.startswith("::warning title=cnncalc::the comment could not be written")


@bash
@pytest.mark.parametrize(
    ("check", "diff", "passes"),
    [("0", "0", True), ("0", "", True), ("1", "0", False), ("0", "1", False), ("", "", False)],
)
def test_the_verdict(job: Job, check: str, diff: str, passes: bool) -> None:
    assert (job.step("Verdict", CHECK=check, DIFF=diff).returncode == 0) == passes


@bash
def test_what_is_installed(job: Job) -> None:
    pip = job.folder / "bin" / "python"
    pip.write_text('#!/usr/bin/env bash\necho "$*"\n')
    pip.chmod(0o755)
    name = "Install cnncalc"
    assert job.step(name, VERSION="", ACTION_PATH="/the action").stdout.endswith("-check /the action\n")
    assert job.step(name, VERSION="1.2", ACTION_PATH="/the action").stdout.endswith("-check cnncalc==1.2\n")
