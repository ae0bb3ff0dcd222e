"""Conditions on tags, as the extension module takes them.

``where`` is a Python expression over tags. It is parsed, never run: what is not a comparison of a
tag with constants, or a combination of such comparisons, is refused with its position.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any, TypeAlias

from transfer_queue.errors import InvalidArgumentError

__all__ = ["MAX_DEPTH", "Predicate", "equal_to", "parse", "predicate_of"]

#: A condition as nested tuples, the name of its kind first.
Predicate: TypeAlias = tuple[Any, ...]

#: Levels of nesting that are accepted; the extension module accepts some more.
MAX_DEPTH = 32

_ALWAYS: Predicate = ("always",)
_OPERATORS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
_MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_GRAMMAR = (
    "compare tags with constants (`reward > 0.5`, `1 <= step < 9`, `state in ('done', 'new')`), "
    "ask `has(name)`, join with and, or, not"
)


def predicate_of(tags: str | Mapping[str, Any] | None) -> Predicate:
    """The condition that ``tags`` stands for: an expression, equal values by name, or none.

    Raises:
        InvalidArgumentError: as :func:`parse` and :func:`equal_to` do.
    """
    return equal_to(tags) if isinstance(tags, Mapping) else parse(tags)


def equal_to(tags: Mapping[str, Any]) -> Predicate:
    """The condition that each of ``tags`` is there with an equal value.

    Raises:
        InvalidArgumentError: a name is no string, or a value is not None, bool, int of 64 bits,
            float or str.
    """
    compared: list[Predicate] = []
    for name, value in tags.items():
        if not isinstance(name, str) or (reason := _unusable(name)):
            raise InvalidArgumentError(f"tag names are strings of valid text, not {name!r}")
        if reason := _unusable(value):
            raise InvalidArgumentError(f"tag {name!r} cannot be compared with {reason}")
        compared.append(("compare", name, "==", value))
    return ("and", compared)


def parse(where: str | None) -> Predicate:
    """The condition written as ``where``; always true for None.

    Names are tags, ``tag('any name')`` one whose name is no identifier, ``has(name)`` asks whether
    a sample has it. Compared are tags with None, bool, int of 64 bits, float and str, also chained,
    and by ``in`` and ``not in`` with a list, tuple or set of these.

    Raises:
        InvalidArgumentError: ``where`` is no string, or not such an expression; the message names
            the position, counted from 1.
    """
    if where is None:
        return _ALWAYS
    if not isinstance(where, str):
        raise InvalidArgumentError(
            f"a condition is a string such as 'reward > 0.5', not {type(where).__name__}"
        )
    if not where.strip():
        raise InvalidArgumentError(f"the condition is empty; {_GRAMMAR}, or give None for all")
    reader = _Reader(where)
    try:
        tree = ast.parse(reader.text, mode="eval")
    except SyntaxError as error:
        raise reader.error(
            error.msg, reader.position(error.lineno or 1, (error.offset or 1) - 1)
        ) from error
    except (RecursionError, MemoryError) as error:
        raise InvalidArgumentError(
            f"the condition is nested too deep to be parsed; at most {MAX_DEPTH} levels"
        ) from error
    except ValueError as error:
        raise InvalidArgumentError(f"the condition is no text Python can parse: {error}") from error
    return reader.condition(tree.body, 1)


class _Reader:
    """Turns the syntax tree of one expression into a condition."""

    def __init__(self, where: str) -> None:
        # Leading space would be read as indentation. Lines end as they do for the parser.
        self.text = where.strip().replace("\r\n", "\n").replace("\r", "\n")
        self._skipped = len(where) - len(where.lstrip())

    def condition(self, node: ast.expr, depth: int) -> Predicate:
        if depth > MAX_DEPTH:
            raise self._error_at(node, f"nested more than {MAX_DEPTH} levels deep")
        match node:
            case ast.BoolOp(op=op, values=values):
                kind = "and" if isinstance(op, ast.And) else "or"
                return (kind, [self.condition(value, depth + 1) for value in values])
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return ("not", self.condition(operand, depth + 1))
            case ast.Compare():
                return self._comparisons(node)
            case ast.Call(func=ast.Name(id="has"), args=[asked], keywords=[]):
                name = self._tag(asked)
                if name is None and isinstance(asked, ast.Constant):
                    name = self._text_of(asked)
                if name is None:
                    raise self._error_at(asked, "has() takes the name of a tag")
                return ("has", name)
            case _:
                if (name := self._tag(node)) is not None:
                    raise self._error_at(node, f"tag {name!r} alone is no condition; compare it")
                raise self._error_at(node, "not a condition on tags")

    def _comparisons(self, node: ast.Compare) -> Predicate:
        sides = [node.left, *node.comparators]
        links = [
            self._comparison(node, left, op, right)
            for left, op, right in zip(sides, node.ops, sides[1:], strict=False)
        ]
        return links[0] if len(links) == 1 else ("and", links)

    def _comparison(
        self, node: ast.Compare, left: ast.expr, op: ast.cmpop, right: ast.expr
    ) -> Predicate:
        tag, other = self._tag(left), self._tag(right)
        if isinstance(op, ast.In | ast.NotIn):
            if tag is None:
                raise self._error_at(left, "the left side of `in` is a tag")
            if not isinstance(right, ast.List | ast.Tuple | ast.Set):
                raise self._error_at(
                    right, "the right side of `in` is a list, tuple or set of constants"
                )
            values = [self._constant(element) for element in right.elts]
            return ("one_of", tag, values, isinstance(op, ast.NotIn))
        symbol = _OPERATORS.get(type(op))
        if symbol is None:
            raise self._error_at(node, "`is` compares identities; use == or !=")
        if tag is not None and other is not None:
            raise self._error_at(
                right, f"tags {tag!r} and {other!r} cannot be compared with each other"
            )
        if tag is not None:
            return ("compare", tag, symbol, self._constant(right))
        if other is None:
            raise self._error_at(left, "neither side of the comparison is a tag")
        return ("compare", other, _MIRRORED[symbol], self._constant(left))

    def _tag(self, node: ast.expr) -> str | None:
        """The name of the tag that ``node`` stands for; None where it stands for none."""
        match node:
            case ast.Name(id=name):
                return name
            case ast.Call(func=ast.Name(id="tag"), args=[ast.Constant() as name], keywords=[]):
                return self._text_of(name)
            case ast.Call(func=ast.Name(id="tag")):
                raise self._error_at(node, "tag() takes one name in quotes")
            case _:
                return None

    def _text_of(self, node: ast.Constant) -> str:
        value = self._constant(node)
        if not isinstance(value, str):
            raise self._error_at(node, "the name of a tag is a string")
        return value

    def _constant(self, node: ast.expr) -> bool | int | float | str | None:
        value: Any
        match node:
            case ast.Constant(value=value):
                pass
            case ast.UnaryOp(
                op=ast.USub() | ast.UAdd() as sign, operand=ast.Constant(value=int() | float() as n)
            ) if not isinstance(n, bool):
                value = -n if isinstance(sign, ast.USub) else n
            case _:
                raise self._error_at(node, "not a constant")
        if reason := _unusable(value):
            raise self._error_at(node, f"tags cannot be compared with {reason}")
        constant: bool | int | float | str | None = value
        return constant

    def _error_at(self, node: ast.expr, reason: str) -> InvalidArgumentError:
        # Offsets in the tree count bytes of UTF-8.
        line = self.text.split("\n")[node.lineno - 1].encode()
        column = len(line[: node.col_offset].decode(errors="ignore"))
        return self.error(reason, self.position(node.lineno, column))

    def position(self, line: int, column: int) -> int:
        """Place in the whole text of the character ``column``, from 0, of ``line``, from 1."""
        return sum(len(before) + 1 for before in self.text.split("\n")[: line - 1]) + column

    def error(self, reason: str, position: int) -> InvalidArgumentError:
        found = self.text[position : position + 30].split("\n")[0]
        place = self._skipped + position + 1
        return InvalidArgumentError(
            f"the condition cannot be used: {reason}, at character {place}, near {found!r}; "
            f"{_GRAMMAR}"
        )


def _unusable(value: object) -> str | None:
    """Why tags cannot be compared with ``value``; None where they can."""
    # Of the very types: a subclass keeps its own in a tag, and equals no plain value there.
    if value is None or type(value) in (bool, float):
        return None
    if type(value) is int:
        if -(1 << 63) <= value < 1 << 63:
            return None
        return "an integer of more than 64 bits"
    if type(value) is str:
        try:
            value.encode()
        except UnicodeEncodeError:
            return "text that is no valid Unicode"
        return None
    return f"a {type(value).__name__}; use None, bool, int, float or str"
