"""The command line as a process: what is imported, where results go, terminals, pipes and signals."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cnncalc import __version__
from cnncalc.__main__ import COMMANDS
from tests.commands.conftest import Run

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX terminals, signals and devices")
HANGS = 300
"""Seconds after which a process is taken to hang, on the busiest machine."""
SPEC = "input: [3, 8, 8]\nlayers: [{conv: {out: 4, kernel: 3}}, relu]\n"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "net.yaml"
    path.write_text(SPEC)
    return path


def cnncalc(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "cnncalc", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, encoding="utf-8", timeout=HANGS, **options)  # type: ignore


def modules_after(code: str) -> set[str]:
    tail = "; import sys; print('MODULES', *sys.modules)"
    out = subprocess.run([sys.executable, "-c", code + tail], capture_output=True, text=True, check=True, timeout=HANGS)
    return set(out.stdout.rpartition("MODULES ")[2].split())


HEAVY = {"rich", "numpy", "torch", "importlib.metadata", "importlib.resources", "pydantic", "jsonschema"}


@pytest.mark.parametrize("options", [[], ["--format", "json"], ["--format", "csv", "--depth", "1"]])
def test_analyze_imports_nothing_heavy_and_no_other_command(spec: Path, options: list[str]) -> None:
    arguments = ["analyze", str(spec), *options]
    found = modules_after(f"from cnncalc.__main__ import run; assert run({arguments!r}) == 0")
    assert not found & HEAVY
    assert not found & {f"cnncalc.commands.{name}" for name in COMMANDS if name != "analyze"}


def test_the_test_of_imports_can_fail() -> None:
    assert modules_after("import rich") & HEAVY


def test_import_of_the_package_is_light() -> None:
    assert {name for name in modules_after("import cnncalc") if name.startswith("cnncalc.")} == set()


def test_version_and_help_of_all_commands() -> None:
    assert cnncalc("--version").stdout == f"cnncalc {__version__}\n"
    shown = cnncalc("--help").stdout
    assert all(re.search(rf"^\W*{name}  ", shown, re.MULTILINE) for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_has_an_example(run: Run, command: str) -> None:
    result = run(command, "--help")
    assert result.status == 0
    assert "Example:" in result.out


def test_usage_errors_exit_with_2(run: Run) -> None:
    for arguments in (["analize"], ["analyze"], ["--wrong"], ["check", "a", "b"], []):
        result = run(*arguments)
        assert result.status == 2
        assert "Traceback" not in result.out + result.err
    assert "did you mean the command 'analyze'?" in run("analize").err


def test_standard_input_and_a_pipe(spec: Path) -> None:
    result = cnncalc("analyze", "-", "--format", "json", input=SPEC)
    assert result.returncode == 0
    # 4 filters of 3·3·3 weights and a bias each
    assert json.loads(result.stdout)["totals"]["params"] == 4 * (27 + 1)


def test_a_file_is_written_whole_or_not_at_all(run: Run, spec: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    target.write_text("old")
    target.chmod(0o640)
    kept = run("analyze", spec, "--output", target)
    assert kept == (2, "", f"error: {target} is there already\n  hint: --force replaces it\n")
    spec.write_text("input: [3]\nlayers: [nonsense]\n")
    assert run("analyze", spec, "--output", target, "--force").status == 2
    assert target.read_text() == "old"
    spec.write_text(SPEC)
    assert run("analyze", spec, "--output", target, "--force").status == 0
    assert json.loads(target.read_text())["schema_version"] == 1
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.yaml", "report.json"]


@posix
def test_a_link_stays_a_link(run: Run, spec: Path, tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("")
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    assert run("analyze", spec, "--output", tmp_path / "link.json", "--force").status == 0
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text())["schema_version"] == 1


@pytest.mark.parametrize("target", [".", "no/such/folder/x.json", "net.yaml/x"])
def test_where_nothing_can_be_written_it_says_so(run: Run, spec: Path, target: str) -> None:
    result = run("analyze", spec, "--output", spec.parent / target)
    assert (result.status, result.out) == (2, "")
    assert re.search(r"^error: cannot write .*: ", result.err)
    assert result.err.count("\n") == 1


@posix
def test_devices_are_written_to_and_a_full_one_is_an_error(spec: Path) -> None:
    assert cnncalc("analyze", spec, "--output", "/dev/null").returncode == 0
    assert Path("/dev/null").is_char_device()
    piped = cnncalc("analyze", spec, "--output", "/dev/stdout", "--format", "json")
    assert json.loads(piped.stdout)["schema_version"] == 1
    if Path("/dev/full").exists():
        with open("/dev/full", "w") as full:
            line = [sys.executable, "-m", "cnncalc", "analyze", str(spec)]
            result = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True, timeout=HANGS)
        assert result.returncode == 2
        assert result.stderr == "error: cannot write to standard output: No space left on device\n"


@posix
def test_a_reader_that_has_seen_enough_is_no_fault(spec: Path) -> None:
    spec.write_text("input: [3, 8, 8]\nlayers: [{repeat: {times: 5000, layers: [relu]}}]\nbudget: {params: {min: 1}}\n")
    for command, status in (("analyze", 0), ("check", 1)):
        line = [sys.executable, "-m", "cnncalc", command, str(spec), "--format", "json"]
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(HANGS) == status


@posix
def test_a_closed_standard_output_is_an_error(spec: Path) -> None:
    line = f"{sys.executable} -m cnncalc analyze {spec} >&-"
    result = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=HANGS)
    assert result.returncode == 2
    assert result.stderr.startswith("error: cannot write to standard output")


@posix
def test_an_interrupt_is_quiet() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "cnncalc", "analyze", "-"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # as a terminal starts it, even where these tests were started with interrupts ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdin
    process.stdin.write(b"#" * 2**20)  # more than a pipe holds: it has started and reads
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=HANGS)
    assert process.returncode == 130
    assert err == b""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_pipe_gets_utf_8_whatever_the_locale(spec: Path, encoding: str) -> None:
    result = cnncalc("analyze", spec, env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"})
    assert result.returncode == 0
    assert "3×8×8 → 4×6×6" in result.stdout


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RecursionError(), "error: the input is nested too deeply\n"),
        (MemoryError(), "error: the net needs more memory than there is\n"),
        (
            ZeroDivisionError("oh\x1b[31m"),
            "internal error: ZeroDivisionError: oh\\x1b[31m\n  hint: this is a fault of cnncalc",
        ),
    ],
)
def test_an_internal_error_is_a_message_too(
    run: Run, spec: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("cnncalc.sources.load", fail)
    result = run("analyze", spec)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(message)
    assert "Traceback" not in result.err
    if message.startswith("internal"):
        monkeypatch.setenv("CNNCALC_DEBUG", "1")
        assert "Traceback" in run("analyze", spec).err


def on_terminal(width: int, *arguments: object, **environment: str) -> str:
    """What a terminal of ``width`` columns gets to see."""
    import fcntl
    import pty
    import struct
    import termios

    variables = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS", "LINES")}
    variables |= {"TERM": "xterm-256color", "PYTHONUTF8": "1", **environment}
    master, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    line = [sys.executable, "-m", "cnncalc", *map(str, arguments)]
    process = subprocess.Popen(line, stdout=terminal, stderr=subprocess.PIPE, env=variables)
    os.close(terminal)
    seen = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:
            break
        if not part:
            break
        seen += part
    os.close(master)
    assert process.wait(HANGS) == 0
    return seen.decode().replace("\r\n", "\n")


@posix
@pytest.mark.parametrize("width", [44, 80, 120, 200])
def test_a_table_fits_the_terminal_and_is_coloured(width: int) -> None:
    shown = on_terminal(width, "analyze", "resnet50")
    assert "\x1b[1m" in shown
    plain = re.sub(r"\x1b\[\d*m", "", shown)
    assert max(map(len, plain.splitlines())) <= width
    assert "25,557,032" in plain


@posix
def test_no_color_and_a_dumb_terminal_are_respected(spec: Path) -> None:
    assert "\x1b" not in on_terminal(80, "analyze", spec, NO_COLOR="1")
    assert "\x1b" not in on_terminal(80, "analyze", spec, TERM="dumb")
    assert "\x1b" in on_terminal(80, "analyze", spec, NO_COLOR="")


@posix
def test_columns_overrides_the_width_of_the_terminal() -> None:
    shown = on_terminal(200, "analyze", "resnet50", COLUMNS="70", NO_COLOR="1")
    assert max(map(len, shown.splitlines())) <= 70


def test_a_pipe_is_neither_cut_nor_coloured() -> None:
    shown = cnncalc("analyze", "resnet50", env={**os.environ, "COLUMNS": "40", "TERM": "xterm"}).stdout
    assert "\x1b" not in shown
    assert "…" not in shown
    assert "stage3.bottleneck6.conv_bn3.batch_norm1" in shown


def _fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


@posix
@pytest.mark.parametrize("command", ["check", "lint"])
def test_only_regular_files_of_a_folder_are_read(spec: Path, command: str) -> None:
    folder = spec.parent
    spec.write_text(f"{SPEC}budget: {{params: {{max: 1M}}}}\n")
    _fifo(folder / "pipe.yaml")
    (folder / "endless.yaml").symlink_to("/dev/zero")
    with open(folder / "huge.yaml", "wb") as huge:
        huge.write(b"layers: 1\n")
        huge.truncate(1 << 40)  # a hole: a terabyte that takes no space
    (folder / "link.yaml").symlink_to(spec)
    result = cnncalc(command, folder, "--format", "json")
    assert result.returncode == 0
    assert [net["model"]["source"] for net in json.loads(result.stdout)["nets"]] == [
        str(folder / "link.yaml"),
        str(spec),
    ]


@posix
@pytest.mark.parametrize("source", ["/dev/stdin", "/dev/fd/0"])
@pytest.mark.parametrize("command", ["check --all-variants", "explain", "verify --backend numpy --checks shape"])
def test_a_pipe_is_a_source_as_a_file_is(source: str, command: str) -> None:
    name, *options = command.split()
    result = cnncalc(name, source, *options, input=f"{SPEC}budget: {{params: {{max: 1M}}}}\n")
    assert (result.returncode, result.stderr) == (0, "")


@posix
@pytest.mark.parametrize("command", ["analyze", "check", "lint", "rf"])
def test_a_source_without_end_is_refused(run: Run, command: str) -> None:
    result = run(command, "/dev/zero")
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("/dev/zero: error: is larger than 64 MiB, which no spec is\n")


@posix
def test_an_output_that_links_to_itself_is_an_error(run: Run, spec: Path, tmp_path: Path) -> None:
    loop = tmp_path / "loop.json"
    loop.symlink_to(loop)
    result = run("analyze", spec, "--output", loop)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"error: cannot write {loop}: ")
    assert loop.is_symlink()
    picture = tmp_path / "loop.png"
    picture.symlink_to(picture)
    assert run("rf", spec, "--plot", picture).err.startswith(f"error: cannot write {picture}: ")


@posix
def test_a_link_to_nothing_yet_is_written_through(run: Run, spec: Path, tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to(tmp_path / "new.json")
    assert run("analyze", spec, "--output", tmp_path / "link.json").status == 0
    assert json.loads((tmp_path / "new.json").read_text())["schema_version"] == 1
    assert (tmp_path / "link.json").is_symlink()


HUGE = 10**20
WHOLE = [
    (f"analyze lenet5 {option} {HUGE}", 0)
    for option in ("--depth", "--top", "--batch", "--checkpoint", "--images 5 --epochs", "--epochs 5 --images")
]
WHOLE += [(f"{command} --depth {HUGE}", 0) for command in ("diff lenet5 alexnet", "convert lenet5 - --to dot")]
WHOLE += [(f"solve conv --in 8 --out 8 --{option} {HUGE}", 2) for option in ("kernel", "stride", "padding", "dilation")]
WHOLE += [(f"sizes lenet5 --max {HUGE}", 2), (f"solve conv --in 8 --out 8 --limit {HUGE}", 0)]
WHOLE += [(f"solve conv_transpose --in 8 --out 8 --output-padding {HUGE}", 2)]
RUN = [(f"bench lenet5 --repeat 1 --{option} {HUGE}", 2) for option in ("repeat", "threads", "batch")]
RUN += [(f"bench lenet5 --repeat 1 --depth {HUGE}", 0)]
RUN += [(f"verify lenet5 --checks shape --batch {batch}", 2) for batch in (HUGE, 10**13)]


@pytest.mark.parametrize(("line", "status"), [*WHOLE, *(pytest.param(*one, marks=pytest.mark.torch) for one in RUN)])
def test_a_huge_whole_number_is_taken_or_refused_in_one_message(run: Run, line: str, status: int) -> None:
    result = run(*line.split())
    assert (result.status, bool(result.out)) == (status, status == 0)
    assert "internal error" not in result.err
    assert len(re.findall("error: ", result.err, re.IGNORECASE)) == (1 if status else 0)
