"""Machine files: the shipped ones are sound, wrong ones are told line by line, and what is written is read again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnncalc import machines
from cnncalc.analysis.roofline import Cache, Machine
from cnncalc.analysis.traffic import BYTES
from cnncalc.errors import CnncalcError
from cnncalc.sources import zoo_names

GOOD = "name: m\nsource: s\npeak: {float32: 1T}\nmemory: {bandwidth: 10GB/s}\n"


def test_a_dozen_machines_are_shipped_and_none_is_a_net() -> None:
    assert len(machines.names()) >= 12
    assert not set(machines.names()) & set(zoo_names())


@pytest.mark.parametrize("name", machines.names())
def test_shipped_machines_are_sound(name: str) -> None:
    machine = machines.load(name)
    assert len(machine.source) > 40
    # a faster dtype is a narrower one
    by_width = sorted(machine.peak, key=lambda dtype: (-BYTES[dtype], dtype == "tf32"))
    rates = [machine.peak[dtype] for dtype in by_width if dtype in ("float64", "float32", "float16", "int8")]
    assert rates == sorted(rates)
    # between a FLOP and a few thousand for each byte: a unit that went astray would show
    assert all(1 < rate / machine.bandwidth < 5000 for rate in machine.peak.values())
    assert all(cache.size < 10**9 for cache in machine.caches)
    assert all(cache.bandwidth is None or cache.bandwidth > machine.bandwidth for cache in machine.caches)


def test_units() -> None:
    text = (
        'name: "m"\nsource: s\nthreads: 8\npeak: {float32: 8.1 TFLOP/s, int8: 130T}\n'
        "memory: {bandwidth: 3.35TB/s}\ncaches: [{size: 512KiB, bandwidth: 1.5TiB/s}, {size: 40MB}]\n"
    )
    assert machines.parse(text) == Machine(
        "m",
        "s",
        {"float32": 8_100_000_000_000, "int8": 130 * 10**12},
        3_350_000_000_000,
        (Cache(512 * 1024, 3 * 2**39), Cache(40_000_000)),
        8,
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("bandwidth", "bandwith"), r"m\.yaml:4:10: error: memory has no 'bandwith'(.|\n)*did you mean 'bandwidth'\?"),
        (("float32", "float31"), r"m\.yaml:3:8: error: peak has no 'float31'(.|\n)*did you mean 'float32'\?"),
        (("10GB/s", "10GB"), r"m\.yaml:4:21: error: '10GB' is not a bandwidth; write 3\.35TB/s"),
        (("1T", "lots"), r"m\.yaml:3:17: error: 'lots' is not a count"),
        (("1T", "0"), r"m\.yaml:3:17: error: must be above 0, got 0"),
        (("1T", "-5T"), r"m\.yaml:3:17: error: must be above 0, got -5T"),
        (("{float32: 1T}", "{}"), r"m\.yaml:3:7: error: peak needs at least one dtype"),
        (("{float32: 1T}", "[1T]"), r"m\.yaml:3:7: error: peak is a mapping of float64, float32"),
        (("source: s\n", ""), r"m\.yaml:1:1: error: a machine needs 'source'"),
        (("name: m", "name: ''"), r"m\.yaml:1:7: error: must be a text"),
        (("name: m", "name: m\nname: n"), r"m\.yaml:2:1: error: duplicate key 'name'"),
        (("10GB/s}", "10GB/s}\ncaches: {size: 4MB}"), r"m\.yaml:5:9: error: caches is a list"),
        (
            ("10GB/s}", "10GB/s}\ncaches: [{size: 4XB}]"),
            r"m\.yaml:5:17: error: '4XB' is not a size; write 80GB or 40MiB",
        ),
        (("10GB/s}", "10GB/s}\ncaches: [{bandwidth: 1TB/s}]"), r"m\.yaml:5:10: error: a cache needs 'size'"),
        (("10GB/s}", "10GB/s}\nthreads: two"), r"m\.yaml:5:10: error: 'two' is not a count"),
        (("name: m", "name: [m"), r"m\.yaml:.* error: not valid YAML"),
    ],
)
def test_wrong_files_are_told_with_their_place(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(GOOD.replace(*change))
    with pytest.raises(CnncalcError, match=message):
        machines.load(str(path))


def test_a_machine_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        CnncalcError, match=r"h100: error: there is no such file or shipped machine\n  hint: did you mean"
    ):
        machines.load("h100")
    with pytest.raises(CnncalcError, match=r"zzz: error: (.|\n)*choose from a100_sxm_80gb, .*or give a YAML file"):
        machines.load("zzz")
    (tmp_path / "m.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CnncalcError, match=r"m\.yaml: error: is not UTF-8"):
        machines.load(str(tmp_path / "m.yaml"))
    if os.name == "posix" and os.geteuid() != 0:
        (tmp_path / "m.yaml").chmod(0)
        with pytest.raises(CnncalcError, match="cannot be read"):
            machines.load(str(tmp_path / "m.yaml"))


rates = st.integers(1, 10**18)
texts = st.text(min_size=1).filter(lambda text: text.isprintable() and text.strip())


@given(
    st.builds(
        Machine,
        texts,
        texts,
        st.dictionaries(st.sampled_from([*BYTES]), rates, min_size=1),
        rates,
        st.lists(st.builds(Cache, st.integers(1, 10**12), st.none() | rates), max_size=3).map(tuple),
        st.none() | st.integers(1, 1000),
    )
)
def test_what_is_written_is_read_again(machine: Machine) -> None:
    assert machines.parse(machines.written(machine)) == machine
