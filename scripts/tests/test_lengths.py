from pathlib import Path

import pytest

from scripts.check_lengths import HARD_CAP, MEDIAN, SOFT_CAP, count, is_test, length_problems


def test_small_files_pass():
    assert not list(length_problems("Rust", {"a.rs": MEDIAN, "b.rs": 10, "c.rs": MEDIAN}))


def test_no_files_at_all_pass():
    assert not list(length_problems("Rust", {}))


def test_a_file_over_the_cap_is_named_with_its_lines():
    lengths = {f"{name}.rs": 10 for name in "abcdefghijklmn"} | {"long.rs": HARD_CAP + 1}
    (problem,) = length_problems("Rust", lengths)
    assert problem.startswith(f"long.rs: {HARD_CAP + 1} lines")


def test_a_high_median_is_shown():
    (problem,) = length_problems("Rust", {"a.rs": MEDIAN + 1})
    assert "median" in problem


def test_one_long_file_in_ten_is_the_most():
    short = {f"{number}.rs": 10 for number in range(9)}
    assert not list(length_problems("Rust", short | {"long.rs": SOFT_CAP}))
    (problem,) = length_problems("Rust", short | {"long.rs": SOFT_CAP, "longer.rs": SOFT_CAP + 1})
    assert "longer.rs (451), long.rs (450)" in problem


def test_test_modules_do_not_count():
    source = "fn f() {}\n#[cfg(test)]\nmod tests {\n    fn g() { let brace = '}'; }\n}\n"
    assert count(Path("a.rs"), source) == 2
    assert count(Path("tests/a.rs"), source) == 5


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("crates/x/src/a.rs", False),
        ("crates/x/src/a/tests.rs", True),
        ("crates/x/tests/a.rs", True),
        ("scripts/tests/test_a.py", True),
        ("python/x/testing.py", False),
    ],
)
def test_tests_are_told_by_their_path(path: str, expected: bool):
    assert is_test(Path(path)) is expected
