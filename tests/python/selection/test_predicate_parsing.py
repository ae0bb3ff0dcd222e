"""Conditions written as Python expressions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer_queue._predicate import MAX_DEPTH, equal_to, parse, predicate_of
from transfer_queue.errors import InvalidArgumentError, TransferQueueError


def compare(tag, op, value):
    return ("compare", tag, op, value)


@pytest.mark.parametrize("op", ["==", "!=", "<", "<=", ">", ">="])
def test_a_tag_is_compared_with_a_constant(op):
    assert parse(f"reward {op} 0.5") == compare("reward", op, 0.5)


@pytest.mark.parametrize(
    ("op", "mirrored"),
    [("==", "=="), ("!=", "!="), ("<", ">"), ("<=", ">="), (">", "<"), (">=", "<=")],
)
def test_a_constant_on_the_left_turns_the_comparison_round(op, mirrored):
    assert parse(f"3 {op} step") == compare("step", mirrored, 3)


def test_chained_comparisons_are_all_true():
    assert parse("1 <= step < 5") == (
        "and",
        [compare("step", ">=", 1), compare("step", "<", 5)],
    )
    assert parse("a < 3 < b") == ("and", [compare("a", "<", 3), compare("b", ">", 3)])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("None", None),
        ("True", True),
        ("False", False),
        ("7", 7),
        ("-7", -7),
        ("+7", 7),
        ("-9223372036854775808", -(1 << 63)),
        ("9223372036854775807", (1 << 63) - 1),
        ("0x10", 16),
        ("1_000", 1000),
        ("1e3", 1000.0),
        ("-0.5", -0.5),
        ("1e999", float("inf")),
        ("'ünï'", "ünï"),
        ("'a' 'b'", "ab"),
        ("''", ""),
    ],
)
def test_constants_keep_value_and_type(text, value):
    (_, _, _, found) = parse(f"t == {text}")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["[1, -2, 'a', None]", "(1, -2, 'a', None)", "{1, -2, 'a', None}"])
def test_membership_in_a_list_tuple_or_set(text):
    assert parse(f"t in {text}") == ("one_of", "t", [1, -2, "a", None], False)
    assert parse(f"t not in {text}") == ("one_of", "t", [1, -2, "a", None], True)


def test_membership_in_nothing():
    assert parse("t in []") == ("one_of", "t", [], False)
    assert parse("t not in ()") == ("one_of", "t", [], True)


def test_combinations():
    a, b, c = (compare(name, "==", 1) for name in "abc")
    assert parse("a == 1 and b == 1 and c == 1") == ("and", [a, b, c])
    assert parse("a == 1 or b == 1 and c == 1") == ("or", [a, ("and", [b, c])])
    assert parse("(a == 1 or b == 1) and not c == 1") == ("and", [("or", [a, b]), ("not", c)])


def test_any_name_of_a_tag():
    assert parse("tag('my tag') > 1") == compare("my tag", ">", 1)
    assert parse("1 < tag('class')") == compare("class", ">", 1)
    assert parse("tag('') in [1]") == ("one_of", "", [1], False)


def test_has_takes_the_name_in_each_form():
    for asked in ("step", "'step'", "tag('step')"):
        assert parse(f"has({asked})") == ("has", "step")
    assert parse("not has('my tag')") == ("not", ("has", "my tag"))


def test_the_functions_are_no_reserved_names():
    assert parse("tag == 1 and has == 2") == (
        "and",
        [compare("tag", "==", 1), compare("has", "==", 2)],
    )


def test_no_condition_is_always_true():
    assert parse(None) == predicate_of(None) == ("always",)


def test_space_around_and_lines_within_parentheses():
    assert parse("  (a == 1\r\n and\n b == 2)  # why\n") == (
        "and",
        [compare("a", "==", 1), compare("b", "==", 2)],
    )


def test_equal_values_by_name():
    assert equal_to({"step": 3, "state": None}) == (
        "and",
        [compare("step", "==", 3), compare("state", "==", None)],
    )
    assert predicate_of({}) == ("and", [])
    assert predicate_of("step == 3") == compare("step", "==", 3)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({1: 2}, "names are strings.*not 1"),
        ({"\ud800": 2}, "names are strings of valid text"),
        ({"t": [1]}, "'t' cannot be compared with a list"),
        ({"t": 1 << 63}, "more than 64 bits"),
        ({"t": "\ud800"}, "no valid Unicode"),
    ],
)
def test_unusable_equal_values_are_refused(tags, message):
    with pytest.raises(InvalidArgumentError, match=message):
        predicate_of(tags)


@pytest.mark.parametrize(
    ("where", "message", "position"),
    [
        ("step", "'step' alone is no condition", 1),
        ("a == 1 and step", "'step' alone", 12),
        ("not tag('x y')", "'x y' alone", 5),
        ("True", "not a condition", 1),
        ("a < b", "'a' and 'b' cannot be compared", 5),
        ("1 < 2", "neither side", 1),
        ("1 < 2 < a", "neither side", 1),
        ("a is None", "use == or !=", 1),
        ("'ü' == a and a is not None", "use == or !=", 14),
        ("a in 'abc'", "right side of `in`", 6),
        ("a in b", "right side of `in`", 6),
        ("3 in a", "left side of `in`", 1),
        ("a in [1, [2]]", "not a constant", 10),
        ("a in [b]", "not a constant", 7),
        ("a == 1 + 1", "not a constant", 6),
        ("a + 1 == 2", "neither side", 1),
        ("a == -True", "not a constant", 6),
        ("a == - -1", "not a constant", 6),
        ("a == ~1", "not a constant", 6),
        ("a == (1, 2)", "not a constant", 6),
        ("a == b'x'", "compared with a bytes", 6),
        ("a == 1j", "compared with a complex", 6),
        ("a == ...", "compared with a ellipsis", 6),
        ("a == 9223372036854775808", "64 bits", 6),
        ("a == -9223372036854775809", "64 bits", 6),
        ("a == '\\ud800'", "no valid Unicode", 6),
        ("a == f'{b}'", "not a constant", 6),
        ("a.b == 1", "neither side", 1),
        ("a[0] == 1", "neither side", 1),
        ("__import__('os') == 1", "neither side", 1),
        ("has(1)", "name of a tag is a string", 5),
        ("has(a, b)", "not a condition", 1),
        ("has(name=a)", "not a condition", 1),
        ("has(has(a))", "takes the name of a tag", 5),
        ("tag(a) == 1", "one name in quotes", 1),
        ("tag() == 1", "one name in quotes", 1),
        ("tag('a', 'b') == 1", "one name in quotes", 1),
        ("has(a) == 1", "neither side", 1),
        ("(a := 1) == 1", "neither side", 2),
        ("lambda: a == 1", "not a condition", 1),
        ("a == 1 if b == 1 else c == 1", "not a condition", 1),
        ("[a == 1]", "not a condition", 1),
        ("a == 1 & b == 2", "not a constant", 6),
        ("   a < b", "cannot be compared with each other", 8),
        ("(a == 1 and\n b == c)", "cannot be compared with each other", 19),
        ("(a == 1 and\r\n b == c)", "cannot be compared with each other", None),
        ("a == ", "syntax", None),
        ("a == 1; b == 2", "syntax", 7),
        ("class == 1", "syntax", 1),
        ("a == 1) or (b == 1", "unmatched", 7),
        ("x = 1", "invalid syntax", None),
    ],
)
def test_anything_else_is_refused_with_its_position(where, message, position):
    with pytest.raises(InvalidArgumentError, match=message) as caught:
        parse(where)
    assert isinstance(caught.value, ValueError)
    assert "at character " in str(caught.value)
    if position is not None:
        assert f"at character {position}," in str(caught.value)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("", "empty"),
        (" \n", "empty"),
        (b"a == 1", "not bytes"),
        ({"a": 1}, "not dict"),
        (3, "not int"),
        ("a == '\0'", "null byte"),
        ("a == '\ud800'", "Python can parse"),
        ("a == " + "9" * 5000, "limit"),
    ],
)
def test_what_is_no_expression_is_refused(where, message):
    with pytest.raises(InvalidArgumentError, match=message):
        parse(where)


def test_nesting_is_accepted_up_to_the_limit():
    levels = MAX_DEPTH - 1
    expected = compare("a", "==", 1)
    for _ in range(levels):
        expected = ("not", expected)
    assert parse("not " * levels + "a == 1") == expected
    with pytest.raises(InvalidArgumentError, match=f"more than {MAX_DEPTH} levels"):
        parse("not " * MAX_DEPTH + "a == 1")


@pytest.mark.parametrize(
    "where",
    [
        "(" * 100_000,
        "(" * 150 + "a == 1" + ")" * 150 + " and",
        "not " * 100_000 + "a == 1",
        "a == " + "-" * 100_000 + "1",
        "a" + ".b" * 100_000,
        "a" + "()" * 100_000,
        "a" + " + 1" * 100_000,
        "has(" * 10_000 + ")" * 10_000,
        "[" * 5000 + "]" * 5000,
    ],
    ids=lambda where: where[:12],
)
def test_hostile_nesting_is_an_error_like_any_other(where):
    with pytest.raises(InvalidArgumentError) as caught:
        parse(where)
    assert len(str(caught.value)) < 600


def test_long_conditions_are_not_deep():
    numbers = list(range(20_000))
    assert parse(f"step in {numbers}") == ("one_of", "step", numbers, False)
    kind, links = parse(" or ".join(f"step == {n}" for n in range(2000)))
    assert (kind, len(links)) == ("or", 2000)


PIECES = [
    "a",
    "1",
    "'s'",
    "None",
    "==",
    "<",
    "in",
    "not",
    "and",
    "or",
    "is",
    "(",
    ")",
    "[",
    "]",
    ",",
]
PIECES += ["has", "tag", "-", ".", "\n", ":=", "if", "else", "*", "ü"]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join) | st.text(max_size=20))
def test_any_text_is_a_condition_or_an_error_of_ours(where):
    try:
        predicate = parse(where)
    except TransferQueueError:
        return
    assert predicate[0] in {"compare", "one_of", "has", "and", "or", "not"}
