import pytest

from scripts.rust_source import code_only, line_of, without_tests


@pytest.mark.parametrize(
    "source",
    [
        "a // unsafe\nb",
        "a /* unsafe /* nested */ unsafe */ b",
        'a "unsafe \\" unsafe" b',
        'a r#"unsafe " unsafe"# b',
        'a b"unsafe" b',
        "a /* unsafe",
    ],
)
def test_comments_and_literals_are_blanked_in_place(source: str):
    code = code_only(source)
    assert "unsafe" not in code
    assert len(code) == len(source)
    assert code[0] == "a"


@pytest.mark.parametrize("source", ["'\"' unsafe", "'\\'' unsafe", "b'\\\\' unsafe", "'/' unsafe"])
def test_a_character_does_not_open_a_string(source: str):
    assert "unsafe" in code_only(source)


def test_a_lifetime_is_not_a_character():
    source = "fn f<'a>(x: &'a str, y: &'a str)"
    assert code_only(source) == source


def test_the_test_module_goes_and_what_follows_stays():
    source = "fn a() {}\n#[cfg(all(test, not(loom)))]\nmod tests {\n  fn b() {}\n}\nfn c() {}\n"
    assert without_tests(source) == "fn a() {}\n\nfn c() {}\n"


def test_a_line_is_counted_from_one():
    assert line_of("a\nb\nc", 4) == 3
