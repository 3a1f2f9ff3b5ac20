"""What people type is taken, or answered with the right form."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cnncalc import units
from cnncalc.__main__ import COMMANDS
from tests.commands.conftest import Run

ROOT = str(Path(__file__).parents[2])
NET = "input: [3, 8, 8]\nlayers: [{conv: {out: 4, kernel: 3}}, relu]\n"


@pytest.mark.parametrize("source", ["lenet5", "resnet18", "-", "net.yaml", "./net.yaml"])
def test_a_source_alone_is_analyzed(tmp_path: Path, source: str) -> None:
    (tmp_path / "net.yaml").write_text(NET)
    lines = [
        subprocess.run(
            [sys.executable, "-m", "cnncalc", *words, source, "--depth", "1"],
            input=NET,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=300,
        )
        for words in ([], ["analyze"])
    ]
    assert lines[0].returncode == 0
    assert lines[0].stdout == lines[1].stdout != ""


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("analise", "did you mean the command 'analyze'?"),
        ("resnet5", "did you mean the net 'resnet50'?"),
        ("ResNet50", "did you mean the net 'resnet50'?"),
        ("quux", "'cnncalc --help' lists the commands, 'cnncalc zoo' the nets"),
    ],
)
def test_a_first_word_that_is_nothing_has_one_error(run: Run, word: str, hint: str) -> None:
    said = f"error: '{word}' is not a command, a shipped net or a file\n  hint: {hint}\n"
    assert run(word, "--depth", "1") == (2, "", said)


def test_a_file_that_is_not_there_is_told_as_one(run: Run) -> None:
    assert run("nowhere/net.yaml") == (2, "", "nowhere/net.yaml: error: there is no such file\n")


def test_zoo_and_a_name_shows_the_net(run: Run) -> None:
    assert run("zoo", "lenet5") == run("zoo", "show", "lenet5")
    assert run("zoo", "lenet5", "--path").out.endswith("lenet5.yaml\n")
    assert run("zoo", "lnet5") == (2, "", "error: unknown net 'lnet5'\n  hint: did you mean 'lenet5'?\n")


@pytest.mark.parametrize("command", ["", *COMMANDS, "zoo list", "zoo show"])
def test_the_short_form_of_help(run: Run, command: str) -> None:
    short, long = run(*command.split(), "-h"), run(*command.split(), "--help")
    assert short == long
    assert short.status == 0
    assert "-h, --help" in short.out


@pytest.mark.parametrize(
    ("line", "said", "hint"),
    [
        ("analyze lenet5 --frmat json", "there is no option '--frmat'", "did you mean '--format'?"),
        ("analyze lenet5 --hlep", "there is no option '--hlep'", "did you mean '--help'?"),
        ("analyze lenet5 --quux", "there is no option '--quux'", "'cnncalc analyze --help' has the options"),
        ("--quux", "there is no option '--quux'", "'cnncalc --help' has the options"),
        ("analyze", "there is no SOURCE", "'cnncalc analyze --help' has the options"),
        ("zoo show", "there is no NAME", "'cnncalc zoo show --help' has the options"),
        ("analyze lenet5 --format cvs", "--format: 'cvs' is not one of 'table', 'json', 'csv', 'markdown', 'html'",
         "did you mean 'csv'?"),
        ("analyze lenet5 --depth x", "--depth: 'x' is not a whole number", "'cnncalc analyze --help' has the options"),
        ("verify lenet5 --seed x", "--seed: 'x' is not a whole number", "'cnncalc verify --help' has the options"),
        ("analyze lenet5 --label-smoothing x", "--label-smoothing: 'x' is not a number",
         "'cnncalc analyze --help' has the options"),
        ("analyze lenet5 --depth 0", "--depth: 0 is not in the range x>=1", "'cnncalc analyze --help' has the options"),
        ("analyze lenet5 alexnet --depth", "option '--depth' requires an argument",
         "'cnncalc analyze --help' has the options"),
        ("zoo list lenet5", "unexpected argument 'lenet5'", "'cnncalc zoo list --help' has the options"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_one_error_in_the_style_of_all(run: Run, line: str, said: str, hint: str) -> None:
    assert run(*line.split()) == (2, "", f"error: {said}\n  hint: {hint}\n")


def test_no_words_at_all_show_the_help_and_are_an_error(run: Run) -> None:
    result = run()
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("Usage: cnncalc ")


def test_help_has_the_options_in_groups_and_the_width_of_the_terminal(
    monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    for width in (60, 80, 120, 200):
        monkeypatch.setenv("COLUMNS", str(width))
        lines = run("analyze", "--help").out.splitlines()
        assert width * 0.8 < max(map(len, lines)) <= width
    groups = [line[:-1] for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert groups == ["Arguments", "Options", "Net", "Memory, training and speed", "Result"]
    at = {name: lines.index(f"{name}:") for name in groups}
    where = {option: next(n for n, line in enumerate(lines) if line.startswith(f"  {option} ")) for option in
             ("--depth", "--input", "--output", "--fit")}  # fmt: skip
    assert at["Options"] < where["--depth"] < at["Net"] < where["--input"] < at["Memory, training and speed"]
    assert at["Memory, training and speed"] < where["--fit"] < at["Result"] < where["--output"]


@pytest.mark.parametrize(
    "line", ["conv 224 56", "Conv2d 224 56", "conv --in 224 --out 56", "conv --in 224 56", "conv 224 --out 56"]
)
def test_solve_takes_the_two_sizes_as_words(run: Run, line: str) -> None:
    result = run("solve", *line.split(), "--kernel", 4, "--dilation", 1, "--padding", 0, "--format", "csv")
    rows = result.out.splitlines()
    # 56 = floor((224 - 4) / S) + 1 for S = 4 alone: 220 / 4 = 55; S = 3 gives 74 and S = 5 gives 45
    assert [row.split(",")[:2] for row in rows[1:]] == [["4", "4"]]


@pytest.mark.parametrize("line", ["conv", "conv 8", "conv 8 4 2", "conv 8 4 --in 8"])
def test_solve_wants_two_sizes(run: Run, line: str) -> None:
    number = len([word for word in line.split() if word.isdigit()])
    said = f"solve: it takes two sizes, before and after, got {number}"
    assert run("solve", *line.split()) == (2, "", f"error: {said}\n  hint: e.g. cnncalc solve conv 224 56\n")


CLASSES = {
    "Conv2d": "conv",
    "ConvTranspose2d": "conv_transpose",
    "BatchNorm1d": "batch_norm",
    "MaxPool2d": "max_pool",
    "Linear": "linear",
    "ReLU": "relu",
    "PReLU": "prelu",
    "AdaptiveAvgPool2d": "adaptive_avg_pool",
    "Dropout": "dropout",
    "Dropout2d": "channel_dropout",
    "MultiheadAttention": "multi_head_attention",
}


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_of_pytorch_is_the_layer_and_in_a_spec_the_hint(run: Run, name: str) -> None:
    assert run("layers", name) == run("layers", CLASSES[name])
    fields = {"Linear": ["out=5"], "MaxPool2d": ["kernel=2"], "AdaptiveAvgPool2d": ["output_size=2"]}.get(name, [])
    if name in ("ReLU", "Linear", "MaxPool2d", "AdaptiveAvgPool2d"):
        lines = [run("explain", one, *fields, "--input", "3x8x8") for one in (name, CLASSES[name])]
        assert lines[0] == lines[1]
        assert lines[0].status == 0
    from cnncalc.sources import load_text

    with pytest.raises(ValueError, match=f"there is no layer or block '{name}'(.|\n)*did you mean '{CLASSES[name]}'"):
        load_text(f"input: [3, 8, 8]\nlayers: [{name}]\n")


def test_conventions_take_classes_of_pytorch_too(run: Run) -> None:
    lines = [run("conventions", "lenet5", "--functional", name, "--format", "json") for name in ("Tanh", "tanh")]
    assert lines[0] == lines[1]
    assert json.loads(lines[0].out)["functional"] == ["tanh"]


@pytest.mark.parametrize(
    ("typed", "full"),
    [("fp16", "float16"), ("half", "float16"), ("bf16", "bfloat16"), ("fp32", "float32"), ("float", "float32"),
     ("fp64", "float64"), ("double", "float64"), ("FP16", "float16"), ("BFloat16", "bfloat16")],
)  # fmt: skip
def test_short_names_of_types_are_taken(run: Run, typed: str, full: str) -> None:
    for line in ("analyze lenet5 --show memory --format json", "explain lenet5 c1 --format json"):
        lines = [run(*line.split(), "--dtype", name) for name in (typed, full)]
        assert lines[0] == lines[1]
        assert lines[0].status == 0
        assert full in lines[0].out


@pytest.mark.torch
@pytest.mark.parametrize("line", ["verify lenet5 --checks shape", "bench lenet5 --repeat 1"])
def test_short_names_of_types_are_taken_where_pytorch_runs(run: Run, line: str) -> None:
    result = run(*line.split(), "--dtype", "double", "--format", "json")
    assert (result.status, result.err) == (0, "")
    if line.startswith("bench"):
        assert json.loads(result.out)["dtype"] == "float64"


@pytest.mark.parametrize("command", ["analyze", "verify", "bench"])
def test_an_unknown_type_is_told_with_those_that_are(run: Run, command: str) -> None:
    result = run(command, "lenet5", "--dtype", "flot16")
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("error: --dtype: 'flot16' is not one of 'float")
    assert result.err.endswith("'\n  hint: did you mean 'float16'?\n")


@pytest.mark.parametrize(
    ("texts", "size"),
    [
        (["24GB", "24gb", "24G", "24g", "24 GB", "24 gb", " 24 G ", "24e9B", "24_000_000_000B"], 24 * 10**9),
        (["24GiB", "24gib", "24Gi", "24gi", "24 GiB", "24 Gi", "24576MiB"], 24 * 1024**3),
        (["1.5TB", "1.5tb", "1.5T"], 15 * 10**11),
        (["0.5k", "0.5KB", "500B", "500b"], 500),
    ],
)
def test_sizes_in_bytes_as_people_write_them(texts: list[str], size: int) -> None:
    assert {text: units.parse_bytes(text) for text in texts} == dict.fromkeys(texts, size)


@pytest.mark.parametrize("text", ["24Gb", "24", "24 Mib", "24i", "24xb", "24GBs", "24gbb"])
def test_gigabits_and_bare_numbers_are_no_sizes(run: Run, text: str) -> None:
    said = f"error: --fit: '{text}' is not a size; write 80GB or 40MiB\n"
    assert run("analyze", "lenet5", "--fit", text) == (2, "", said)


@pytest.mark.parametrize("text", ["3.35Tb/s", "3tb/s", "3T/s", "3TB", "/s"])
def test_a_bandwidth_says_bytes(text: str) -> None:
    with pytest.raises(ValueError, match=f"^'{text}' is not a bandwidth; write 3.35TB/s$"):
        units.parse_rate(text)


CODE = "write torch:package.module:factory, or torch:path/to/file.py:factory"
SHAPE = "give --input 3x224x224 (channels, then the spatial sizes, without the batch)"
PYTHON = {
    "net.py:Net": "write torch:net.py:Net --input 3x224x224",
    "package.module:make.net": "write torch:package.module:make.net --input 3x224x224",
    "net.py": "write torch:net.py:NAME --input 3x224x224, NAME being the class or function that gives the module",
}
TORCH = {
    "torch:net --input 3x8x8": ("does not name a factory", CODE),
    "torch:net: --input 3x8x8": ("does not name a factory", CODE),
    "torch::Net --input 3x8x8": ("does not name a factory", CODE),
    "torch:net.py:Net": ("a module does not say its input's shape", SHAPE),
    "torch:package.module:Net": ("a module does not say its input's shape", SHAPE),
    "torch:nte.py:Net --input 3x8x8": ("there is no file nte.py", "did you mean 'net.py'?"),
    "torch:folder.py:Net --input 3x8x8": ("folder.py cannot be read: Is a directory", None),
    "torch:nowhere.module:Net --input 3x8x8": (
        "there is no Python module 'nowhere'",
        f"it must be installed beside cnncalc, or lie in the current folder; {CODE}",
    ),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with code, and one in which importing PyTorch fails as nothing else does."""
    (tmp_path / "net.py").write_text("class Net: pass\n")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "module.py").write_text("")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "stub").mkdir()
    (tmp_path / "stub" / "torch.py").write_text("raise RuntimeError('torch is imported')\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "stub"), os.environ.get("PYTHONPATH", ""), ROOT]))
    return tmp_path


@pytest.mark.parametrize("source", PYTHON)
def test_python_code_is_shown_the_form_with_torch(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.chdir(folder)
    said = f"{source}: error: Python code is a source with torch: before it\n  hint: {PYTHON[source]}\n"
    for command in ([], ["analyze"], ["explain"]):
        assert run(*command, source) == (2, "", said)


def in_folder(folder: Path, lines: list[list[str]]) -> list[tuple[int, str, str]]:
    """What command lines give, in one process for all, in which PyTorch has not been imported before."""
    code = (
        "import sys, json; from io import StringIO; from contextlib import redirect_stderr, redirect_stdout\n"
        "from cnncalc.__main__ import run\n"
        "found = []\n"
        "for line in json.loads(sys.argv[1]):\n"
        "    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err: status = run(line)\n"
        "    found.append((status, out.getvalue(), err.getvalue()))\n"
        "print(json.dumps(found))"
    )
    line = [sys.executable, "-c", code, json.dumps(lines)]
    result = subprocess.run(line, capture_output=True, text=True, cwd=folder, timeout=300, check=True)
    return [tuple(one) for one in json.loads(result.stdout)]


def test_what_is_wrong_with_a_torch_source_is_said_before_torch_is_imported(folder: Path) -> None:
    lines, said = [], []
    for line, (what, hint) in TORCH.items():
        source, *more = line.split()
        lines += [[command, source, *more] for command in ("analyze", "verify")]
        said += [(2, "", f"{source}: error: {what}\n" + (f"  hint: {hint}\n" if hint else ""))] * 2
    assert in_folder(folder, lines) == said


def test_the_stub_of_torch_tells(folder: Path) -> None:
    (found,) = in_folder(folder, [["analyze", "torch:net.py:Net", "--input", "3x8x8"]])
    assert "torch is imported" in found[2]


OFFERED = {
    "ana": ["analyze"],
    "analyze lenet": ["lenet5"],
    "diff lenet5 alexnet_": ["alexnet_2012"],
    "zoo show lenet": ["lenet5"],
    "analyze fo": ["folder/"],
    "analyze folder/": ["folder/a.yaml"],
    "analyze lenet5 --columns layer,param": ["layer,params", "layer,params%"],
    "analyze lenet5 --sort jum": ["jump"],
    "analyze lenet5 --show memory,tra": ["memory,training"],
    "analyze lenet5 --machine h100": ["h100_sxm"],
    "bench lenet5 --machine rtx": ["rtx_4090"],
    "conventions lenet5 --tool tho": ["thop"],
    "lint lenet5 --ignore CNN101,CNN30": [f"CNN101,CNN30{n}" for n in range(1, 7)],
    "lint --select CNN106": ["CNN106"],
    "solve conv_": ["conv_transpose"],
    "layers batch": ["batch_norm"],
    "rf folder/a.yaml --layer ": ["input", "stage1", "relu1"],
    "rf folder/a.yaml --layer stage1.": ["stage1.conv1", "stage1.conv2"],
    "rf folder/a.yaml --set twice=true --from stage": ["stage1", "stage2"],
    "rf folder/a.yaml --variant double --layer stage": ["stage1", "stage2"],
    "rf --variant double folder/a.yaml --layer stage": ["stage1", "stage2"],
    "rf --variant resnet101 resnet --layer stage3.bottleneck23.c": [f"stage3.bottleneck23.conv_bn{n}" for n in "123"],
    "rf lenet5 --columns layer,si": ["layer,size"],
    "rf lenet5 --sort bo": ["border"],
    "diff lenet5 vgg11 --columns c": ["change"],
    "diff lenet5 vgg11 --sort r": ["rf"],
    "bench lenet5 --columns layer,forward_m": ["layer,forward_median_ps"],
    "conventions lenet5 --tool thop --sort d": ["difference"],
    "zoo list --sort p": ["params"],
    "verify folder/a.yaml --layer r": ["relu1"],
    "explain folder/a.yaml r": ["relu1"],
    "rf torch:a:b --layer r": [],
    "rf nowhere.yaml --layer r": [],
    "analyze lenet5 --mixed": ["--mixed-precision"],
}  # fmt: skip


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """A folder with a spec, and a function that sets what a shell hands over when it asks what can follow a line."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.yaml").write_text(
        "input: [3, 8, 8]\nargs: {twice: false}\nvariants: {single: {}, double: {twice: true}}\n"
        "blocks: {stage: {layers: [{conv: {out: 3, kernel: 1}}, {conv: {out: 3, kernel: 1}}]}}\n"
        "layers: [stage, {if: twice, then: [stage]}, relu]\n"
    )
    monkeypatch.chdir(tmp_path)

    def ask(shell: str, line: str) -> None:
        given = {"COMP_WORDS": f"cnncalc {line}", "COMP_CWORD": str(line.count(" ") + 1)}
        if shell == "fish":
            given = {"_TYPER_COMPLETE_ARGS": f"cnncalc {line}", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
        for name, value in {**given, "_CNNCALC_COMPLETE": f"complete_{shell}"}.items():
            monkeypatch.setenv(name, value)

    return ask


def offered(out: str) -> list[str]:
    return [row.partition("\t")[0] for row in out.split("\n") if row]


@pytest.mark.parametrize("line", OFFERED)
@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_a_shell_offers_what_can_follow(asked: Callable[[str, str], None], run: Run, shell: str, line: str) -> None:
    asked(shell, line)
    result = run()
    assert result.err == ""
    assert offered(result.out) == OFFERED[line]


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_a_shell_asks_in_a_process_of_its_own(asked: Callable[[str, str], None], shell: str) -> None:
    line = "rf folder/a.yaml --layer "
    asked(shell, line)
    result = subprocess.run([sys.executable, "-m", "cnncalc"], capture_output=True, text=True, timeout=300)
    assert result.stderr == ""
    assert offered(result.stdout) == OFFERED[line]


def test_nothing_of_completion_is_imported_for_a_command() -> None:
    code = "import sys; from cnncalc.__main__ import run; run(['analyze', 'lenet5']); print('MODULES', *sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    modules = set(shown.stdout.rpartition("MODULES ")[2].split())
    assert "cnncalc.commands._options" in modules
    assert not {"cnncalc.commands._complete", "cnncalc.commands._help"} & modules
