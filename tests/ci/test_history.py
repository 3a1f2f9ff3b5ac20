"""``diff --git``: the specs of a repository against a revision, in a repository made for the test."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema
import pytest
from markdown_it import MarkdownIt

from cnncalc.report import diff as pages
from cnncalc.report.schema import report_schema
from tests.ci.conftest import BROKEN, FREE, PARAMS, SPEC, Git
from tests.commands.conftest import Run


def told(run: Run, *arguments: object, status: int = 0) -> dict[str, tuple[str, int, int]]:
    """What happened to each net, and its parameters before and after; the JSON is as its schema says."""
    result = run("diff", "--git", *arguments, "--format", "json")
    assert result.status == status, result.err
    answer = json.loads(result.out)
    jsonschema.Draft202012Validator(report_schema("diff-git")).validate(answer)
    found = {}
    for net in answer["nets"]:
        params = net["report"]["totals"][0]
        found[net["net"]] = (net["change"], params["before"], params["after"])
    return found


def widen(models: Path) -> None:
    path = models / "a.yaml"
    path.write_text(path.read_text().replace("args: {width: 4}", "args: {width: 5}"))


def test_nothing_changed(run: Run, git: Git) -> None:
    assert told(run, "main") == {}
    assert "nets: no change; 2 files unchanged" in run("diff", "--git", "main").out


def test_a_changed_argument_changes_the_net_and_not_the_variants_that_set_it(run: Run, git: Git, models: Path) -> None:
    widen(models)
    assert told(run, "main") == {"models/a.yaml": ("changed", PARAMS, 27 * 5)}
    assert "2 the same in a changed file; 1 file unchanged" in run("diff", "--git", "main").out


def test_files_that_came_went_or_were_renamed(run: Run, git: Git, models: Path) -> None:
    git("mv", "models/a.yaml", "models/b.yaml")
    (models / "deep" / "free.yml").unlink()
    (models / "new.yaml").write_text("input: [3, 8, 8]\nlayers: [{conv: {out: 1, kernel: 1, bias: false}}]\n")
    assert told(run, "main") == {"models/new.yaml": ("added", 0, 3), "models/deep/free.yml": ("removed", 0, 0)}
    (models / "b.yaml").write_text(SPEC.replace("args: {width: 4}", "args: {width: 5}"))
    git("add", "--all")
    assert told(run, "main")["models/b.yaml"] == ("changed", PARAMS, 27 * 5)


def test_a_variant_that_came_or_went(run: Run, git: Git, models: Path) -> None:
    path = models / "a.yaml"
    path.write_text(SPEC.replace("wide: {width: 8}", "huge: {width: 9}"))
    assert told(run, "main") == {
        "models/a.yaml (huge)": ("added", 0, 27 * 9),
        "models/a.yaml (wide)": ("removed", 27 * 8, 0),
    }


def test_paths_choose_and_are_seen_from_the_current_folder(
    run: Run, git: Git, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    widen(models)
    (models / "deep" / "free.yml").write_text(FREE.replace("relu", "relu, relu"))
    assert set(told(run, "main", "models/deep")) == {"models/deep/free.yml"}
    assert set(told(run, "main", "models/a.yaml", "models/gone")) == {"models/a.yaml"}
    monkeypatch.chdir(models / "deep")
    assert set(told(run, "main")) == {"free.yml"}
    assert set(told(run, "main", "..")) == {"free.yml", os.path.join("..", "a.yaml")}


def test_what_git_ignores_is_left_out(run: Run, git: Git, models: Path) -> None:
    (models.parent / ".gitignore").write_text("built/\n")
    (models / "built").mkdir()
    (models / "built" / "a.yaml").write_text(SPEC)
    assert told(run, "main") == {}


def test_three_dots_compare_with_where_the_branch_began(run: Run, git: Git, models: Path) -> None:
    git("checkout", "--quiet", "-b", "topic")
    git("checkout", "--quiet", "main")
    widen(models)
    git("commit", "--quiet", "--all", "--message=on main")
    git("checkout", "--quiet", "topic")
    assert told(run, "main") == {"models/a.yaml": ("changed", 27 * 5, PARAMS)}
    assert told(run, "main...") == {}


def test_conditions_hold_for_nets_that_were_there_before(run: Run, git: Git, models: Path) -> None:
    (models / "new.yaml").write_text(SPEC)
    assert run("diff", "--git", "main", "--fail-on", "params>+1%").status == 0
    widen(models)
    result = run("diff", "--git", "main", "--fail-on", "params>+1%", "--format", "csv")
    assert result.status == 1
    assert result.err.splitlines()[:2] == [
        "✗ models/a.yaml: params>+1%: 108 → 135, +25.0 %",
        "fail on: 1 of 1 conditions met",
    ]


def test_a_spec_that_was_broken_is_new_and_one_that_is_broken_is_an_error(run: Run, git: Git, models: Path) -> None:
    path = models / "a.yaml"
    path.write_text(BROKEN)
    result = run("diff", "--git", "main", "--format", "markdown")
    assert result.status == 2
    assert result.err.startswith("models/a.yaml:3:5: error: ")
    assert "- models/a.yaml:3:5: error: there is no layer or block 'cnv'" in result.out
    git("commit", "--quiet", "--all", "--message=broken")
    path.write_text(SPEC)
    assert told(run, "main")["models/a.yaml"] == ("added", 0, PARAMS)


def test_the_markdown_has_its_mark_one_table_on_top_and_each_net_folded_away(run: Run, git: Git, models: Path) -> None:
    widen(models)
    (models / "x_<b>_`.yaml").write_text(SPEC)
    text = run("diff", "--git", "main", "--fail-on", "params>+1%", "--format", "markdown").out
    assert text.startswith(f"{pages.MARK}\n### Nets against main\n")
    assert "✗ models/a.yaml: params" in text
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    kinds = [token.type for token in tokens]
    # the nets; of the changed one its totals and layers, of each new one the same
    assert kinds.count("table_open") == 1 + 2 * 4
    html = [token.content for token in tokens if token.type == "html_block"]
    assert [line.strip() for line in html] == [
        pages.MARK,
        *(
            part
            for net in ("a.yaml", "x_&lt;b&gt;_`.yaml (narrow)", "x_&lt;b&gt;_`.yaml (wide)", "x_&lt;b&gt;_`.yaml")
            for part in (f"<details><summary>models/{net}</summary>", "</details>")
        ),
    ]


def test_a_comment_never_grows_beyond_what_github_takes(
    run: Run, git: Git, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    widen(models)
    for number in range(5):
        (models / f"n{number}.yaml").write_text(SPEC)
    monkeypatch.setattr(pages, "LONGEST", 5000)
    text = run("diff", "--git", "main", "--format", "markdown").out
    assert len(text) < 5000 + 100
    assert "are left out: too long" in text
    assert text.count("<details>") == text.count("</details>") > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "--git nothing: there is no such revision here\n  hint: in CI, fetch it first"),
        (["--output=x"], "--git --output=x: there is no such revision here"),
        (["main...topic"], "the other side is always the files as they are\n  hint: write --git main..."),
        (["main", "../.."], "../..: error: lies outside the git repository"),
        (["main", "--set", "width=3"], "--git: the nets are taken as their files have them"),
    ],
)
def test_wrong_usage_is_one_message(run: Run, git: Git, arguments: list[str], message: str) -> None:
    result = run("diff", "--git", *arguments)
    assert (result.status, result.out) == (2, "")
    assert message in result.err


def test_where_there_is_no_repository_it_says_so(run: Run, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(models.parent.parent))
    assert "git: fatal: not a git repository" in run("diff", "--git", "main").err
    monkeypatch.setenv("PATH", str(models))
    assert "git is not installed" in run("diff", "--git", "main").err
