from pathlib import Path

import pytest

from scripts.check_words import word_problems


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", "this is is wrong"),
        ("a.md", "across the\nthe line"),
        ("a.rs", "// across the\n    // the line\n"),
        ("a.py", "# The the start\n"),
    ],
)
def test_a_word_twice_in_a_row_is_shown(name: str, text: str):
    (problem,) = word_problems(Path(name), text)
    assert problem.startswith(f"{name}:1: ")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", "it had had that that it needs"),
        ("a.md", "```\nlet x: u8 u8\n```\n"),
        ("a.rs", "struct A { name: name name }\n"),
        ("a.md", "the theory"),
    ],
)
def test_code_and_good_grammar_pass(name: str, text: str):
    assert not list(word_problems(Path(name), text))


def test_rust_speaks_the_glossary_and_python_the_api():
    (problem,) = word_problems(Path("a.rs"), "let data_fields = 1;\n")
    assert "'fields'" in problem
    assert not list(word_problems(Path("a.py"), "data_fields = 1\n"))


def test_a_promise_is_refused_in_code():
    promise = "TO" + "DO"
    (problem,) = word_problems(Path("a.py"), f"x = 1\n# {promise} later\n")
    assert problem.startswith("a.py:2: ")
