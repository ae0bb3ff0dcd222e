from pathlib import Path

import pytest

from scripts import check_instructions
from scripts.callgrind import instructions
from scripts.check_instructions import (
    compared,
    count_problems,
    differences,
    gains,
    not_checked,
    processor,
)

# A program that calls malloc once, and memcpy through a jump of its own.
PROFILE = """\
positions: line
events: Ir
summary: 136

ob=(1) /lib/ld.so
fn=(0) 0x1
cob=(2) /there/program
cfn=(5) main
calls=1 0
0 136

ob=(2)
fn=(5) main
12 7
+3 5
cob=(3) /lib/libc.so.6
cfi=(9) malloc.c
cfn=(6) malloc
calls=1 100
* 100
-2 4

ob=(3)
fn=(6) malloc
100 90
+1 10

ob=(2)
fn=(7) other
9 20
"""

THEN = {
    "architecture": "x86_64",
    "rustc": "rustc 1.95.0",
    "libc": "glibc 2.36",
    "processor": "one",
    "valgrind": "valgrind-3.19.0",
}


def counts(own: int, with_libraries: int) -> dict[str, dict[str, int]]:
    return {"put": {"own": own, "with_libraries": with_libraries}}


def test_each_object_gets_its_own_instructions_and_not_those_of_its_callees():
    found = instructions(PROFILE)
    assert found == {"/there/program": 36, "/lib/libc.so.6": 100}
    assert sum(found.values()) == 136


@pytest.mark.parametrize(("own", "is_wrong"), [(1_050_000, False), (1_051_000, True), (1, False)])
def test_more_than_the_tolerance_above_the_record_is_a_problem(own: int, is_wrong: bool):
    problems = list(count_problems(counts(1_000_000, 0), counts(own, 0), ["own"]))
    assert bool(problems) == is_wrong


def test_a_problem_names_operation_and_both_counts():
    (problem,) = count_problems(counts(1_000_000, 0), counts(1_100_000, 0), ["own"])
    assert "put, our own code: 1,000,000 instructions are recorded, 1,100,000" in problem
    assert "+10.0%" in problem


def test_a_few_instructions_more_are_none_even_where_they_are_many_of_a_few():
    assert not list(count_problems(counts(100, 0), counts(2_000, 0), ["own"]))


@pytest.mark.parametrize(("own", "is_gain"), [(951_000, False), (940_000, True)])
def test_a_gain_is_told(own: int, is_gain: bool):
    assert bool(list(gains(counts(1_000_000, 0), counts(own, 0), ["own"]))) == is_gain


def test_libraries_count_only_where_asked():
    slower = counts(1_000_000, 9_000_000)
    assert not list(count_problems(counts(1_000_000, 2_000_000), slower, ["own"]))
    kinds = ["own", "with_libraries"]
    (problem,) = count_problems(counts(1_000_000, 2_000_000), slower, kinds)
    assert "libraries included" in problem


def test_an_operation_missing_on_either_side_is_a_problem():
    (missing,) = count_problems(counts(1, 1), {}, ["own"])
    (new,) = count_problems({}, counts(1, 1), ["own"])
    assert "not in the program" in missing
    assert "not in the record" in new


@pytest.mark.parametrize("name", ["libc", "processor", "valgrind"])
def test_another_library_is_not_compared(name: str):
    assert compared(THEN, THEN) == ["own", "with_libraries"]
    assert compared(THEN, THEN | {name: "another"}) == ["own"]


def test_another_compiler_is_named():
    now = THEN | {"rustc": "rustc 1.96.0"}
    assert differences(THEN, now) == ["rustc was rustc 1.95.0, is rustc 1.96.0"]
    assert differences(THEN, THEN) == []


def test_a_processor_is_told_by_vendor_model_and_avx2():
    text = "vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n"
    assert processor(text + "flags\t\t: sse2 avx2\n") == "AuthenticAMD 25/17 with AVX2"
    assert processor(text + "flags\t\t: sse2\n") == "AuthenticAMD 25/17 without AVX2"


def test_what_was_not_checked_is_said_and_listed(tmp_path: Path, capsys: pytest.CaptureFixture):
    listed = tmp_path / "unchecked"
    assert not_checked("no tool", listed) == 0
    assert listed.read_text() == "instructions: no tool\n"
    printed = capsys.readouterr()
    assert "NOT CHECKED: no tool" in printed.err
    assert "within" not in printed.out + printed.err


def test_without_valgrind_nothing_passes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setattr(check_instructions.shutil, "which", lambda _: None)
    monkeypatch.setattr("sys.argv", ["check_instructions"])
    assert check_instructions.main() == 0
    assert "NOT CHECKED" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["check_instructions", "--record"])
    assert check_instructions.main() == 1
