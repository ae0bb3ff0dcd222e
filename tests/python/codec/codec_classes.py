"""Classes of a user, in a module that another process could import too."""

import dataclasses
import enum
from collections import UserDict, namedtuple
from typing import NamedTuple

import torch
from tensordict import tensorclass

Point = namedtuple("Point", "x y")


class Span(NamedTuple):
    start: int
    stop: int = 0


class Colour(enum.Enum):
    RED = 1
    GREEN = "green"
    ALSO_RED = 1  # noqa: PIE796 - an alias is what is tested


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Access(enum.Flag):
    READ = 1
    WRITE = 2
    RUN = 4


class Bits(enum.IntFlag):
    ONE = 1
    TWO = 2


class Role(enum.StrEnum):
    USER = "user"
    TOOL = "tool"


class Shape(enum.Enum):
    """Members that hold values of their own."""

    SQUARE = (2, 2)
    LINE = (1, 4)


@dataclasses.dataclass
class Sample:
    prompt: str
    tokens: torch.Tensor
    score: float = 0.0


@dataclasses.dataclass(frozen=True)
class Frozen:
    name: str
    parts: tuple = ()


@dataclasses.dataclass(slots=True)
class Slotted:
    a: int
    b: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KeywordOnly:
    a: int
    b: int = 2


@dataclasses.dataclass
class Nested:
    inner: Sample
    others: list


@dataclasses.dataclass
class Counted:
    """Would count itself twice if its __post_init__ ran again."""

    value: int
    calls: int = dataclasses.field(init=False, default=0)

    def __post_init__(self):
        self.calls += 1
        self.value *= 2


@dataclasses.dataclass
class Base:
    a: int


@dataclasses.dataclass
class Derived(Base):
    b: int


@dataclasses.dataclass
class ListLike(list):
    """A list with fields: its elements are not among its fields."""

    label: str = ""


@dataclasses.dataclass
class WithState:
    """Says itself how it is carried."""

    value: int

    def __getstate__(self):
        return {"value": self.value + 100}

    def __setstate__(self, state):
        self.value = state["value"] - 100


class PointWithNote(Point):
    """A named tuple subclass that takes attributes."""


class PointWithSum(Point):
    """A named tuple whose constructor takes something else than its fields."""

    __slots__ = ()

    def __new__(cls, total):
        return super().__new__(cls, total // 2, total - total // 2)

    def __getnewargs__(self):
        return (self.x + self.y,)


class Plain:
    """An object that only pickle can carry."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return type(other) is Plain and other.value == self.value

    __hash__ = None


class Callable:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, value):
        return value * self.factor

    def method(self, value):
        return value + self.factor


class MyInt(int):
    pass


class MyStr(str):
    __slots__ = ()


class MyList(list):
    pass


class MyDict(dict):
    pass


class MyFloat(float):
    pass


class BatchFeature(UserDict):
    """Like the processors' outputs of Hugging Face: a UserDict of tensors."""

    def __init__(self, data=None, tensor_type=None):
        super().__init__(data)
        self.tensor_type = tensor_type

    def __getattr__(self, name):
        try:
            return self.data[name]
        except KeyError:
            raise AttributeError(name) from None

    def __getstate__(self):
        return {"data": self.data, "tensor_type": self.tensor_type}

    def __setstate__(self, state):
        self.data = state["data"]
        self.tensor_type = state["tensor_type"]


@tensorclass
class Rollout:
    tokens: torch.Tensor
    logp: torch.Tensor
    source: str = ""


class MarkedTensor(torch.Tensor):
    """A tensor subclass without state."""


class NotACallableClass:
    """Something hostile headers can name that is a class but of no kind the codec rebuilds."""


def a_function(value):
    return value + 1


NOT_A_CLASS = 5


@dataclasses.dataclass
class Private:
    __a: int
    _b: int


class HiddenSlot:
    __slots__ = ("hidden",)


@dataclasses.dataclass
class OnHiddenSlot(HiddenSlot):
    a: int
