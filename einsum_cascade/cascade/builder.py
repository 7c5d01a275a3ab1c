"""Write a cascade in Python: the same syntax as the text form, with the positions of Python lines.

The decorator and the class produce the unchecked `Module` that the parser produces as well; the checker does the rest.
"""

import inspect
import linecache
import sys
from collections.abc import Callable

from einsum_cascade.cascade import syntax
from einsum_cascade.cascade.checker import check
from einsum_cascade.cascade.ir import Cascade
from einsum_cascade.cascade.operators import OPERATORS, Operator, Registry
from einsum_cascade.cascade.relation import RELATIONS
from einsum_cascade.cascade.syntax import Expression
from einsum_cascade.errors import Span

__all__ = ["CascadeBuilder", "Function", "RankHandle", "TensorHandle", "Value", "cascade", "where"]


class Value:
    """An expression under construction: anything arithmetic, comparisons and reductions can be done with.

    Examples
    --------
    `c.QK[m, p] - c.GM[p]`, `m1 * M0 + m0`, `(m <= p) & (p - W < m)`, `c.QK[m, p].max(m)`.

    """

    __slots__ = ("node",)

    def __init__(self, node: Expression) -> None:
        """Wrap a piece of syntax."""
        self.node = node

    def __add__(self, other: "Operand") -> "Value":
        return _infix("+", self, other)

    def __radd__(self, other: "Operand") -> "Value":
        return _infix("+", other, self)

    def __sub__(self, other: "Operand") -> "Value":
        return _infix("-", self, other)

    def __rsub__(self, other: "Operand") -> "Value":
        return _infix("-", other, self)

    def __mul__(self, other: "Operand") -> "Value":
        return _infix("*", self, other)

    def __rmul__(self, other: "Operand") -> "Value":
        return _infix("*", other, self)

    def __truediv__(self, other: "Operand") -> "Value":
        return _infix("/", self, other)

    def __rtruediv__(self, other: "Operand") -> "Value":
        return _infix("/", other, self)

    def __floordiv__(self, other: "Operand") -> "Value":
        return _infix("//", self, other)

    def __mod__(self, other: "Operand") -> "Value":
        return _infix("%", self, other)

    def __neg__(self) -> "Value":
        return Value(syntax.negate(self.node, _here()))

    def __lt__(self, other: "Operand") -> "Value":
        return _infix("<", self, other)

    def __le__(self, other: "Operand") -> "Value":
        return _infix("<=", self, other)

    def __gt__(self, other: "Operand") -> "Value":
        return _infix(">", self, other)

    def __ge__(self, other: "Operand") -> "Value":
        return _infix(">=", self, other)

    def equals(self, other: "Operand") -> "Value":
        """Compare for equality (`==` of Python means whether two values are the same object)."""
        return _infix("==", self, other)

    def differs(self, other: "Operand") -> "Value":
        """Compare for inequality."""
        return _infix("!=", self, other)

    def __and__(self, other: "Value") -> "Value":
        return _infix("and", self, other)

    def __or__(self, other: "Value") -> "Value":
        return _infix("or", self, other)

    def __invert__(self) -> "Value":
        return Value(syntax.Call("not", (self.node,), None, _here()))

    def __bool__(self) -> bool:
        """Refuse, since `and`, `or`, `not` and `a < b < c` of Python cannot be written down."""
        raise TypeError("a filter must be joined with & | ~ in Python, not with and, or, not or a < b < c")

    def sum(self, *variables: "Value") -> "Value":
        """Reduce with + over rank variables."""
        return self.reduce("sum", *variables)

    def prod(self, *variables: "Value") -> "Value":
        """Reduce with * over rank variables."""
        return self.reduce("prod", *variables)

    def max(self, *variables: "Value") -> "Value":
        """Reduce with max over rank variables."""
        return self.reduce("max", *variables)

    def min(self, *variables: "Value") -> "Value":
        """Reduce with min over rank variables."""
        return self.reduce("min", *variables)

    def reduce(self, operator: "str | Function", *variables: "Value") -> "Value":
        """Reduce with any operator over rank variables."""
        name = operator if isinstance(operator, str) else operator.name
        nodes = tuple(variable.node for variable in variables)
        return Value(syntax.Call(name, (self.node,), nodes, _here()))

    def where(self, predicate: "Value", otherwise: "Operand | None" = None) -> "Filtered":
        """Filter the equation this is the right side of; `otherwise` is the value of filtered points."""
        return Filtered(self.node, predicate.node, None if otherwise is None else _node(otherwise))


class Filtered:
    """The right side of an equation with its filter: only good for assignment."""

    __slots__ = ("otherwise", "predicate", "value")

    def __init__(self, value: Expression, predicate: Expression, otherwise: Expression | None) -> None:
        """Join the three parts."""
        self.value, self.predicate, self.otherwise = value, predicate, otherwise


type Operand = Value | float


def where(value: Operand, predicate: Value, otherwise: Operand | None = None) -> Filtered:
    """Filter an equation whose right side may be a plain number."""
    return Value(_node(value)).where(predicate, otherwise)


class Function:
    """An operator that can be called on values: `exp(x)`, `maximum(a, b)`."""

    __slots__ = ("name",)

    def __init__(self, operator: Operator) -> None:
        """Refer to a registered operator."""
        self.name = operator.name

    def __call__(self, *arguments: Operand) -> Value:
        """Apply the operator to values and numbers."""
        return Value(syntax.Call(self.name, tuple(map(_node, arguments)), None, _here()))


class RankHandle(Value):
    """A rank: its extent in an expression."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        """Refer to a rank by name."""
        super().__init__(syntax.Name(name))
        self.name = name


class TensorHandle:
    """A tensor: subscript it to read it, assign to a subscript to define it."""

    __slots__ = ("_builder", "_is_init", "name")

    def __init__(self, builder: "CascadeBuilder", name: str, *, is_init: bool = False) -> None:
        """Refer to a tensor of a builder by name."""
        self._builder, self.name, self._is_init = builder, name, is_init

    def _subscript(self, indices: "Operand | tuple[Operand, ...]") -> syntax.Subscript:
        parts = indices if isinstance(indices, tuple) else (indices,)
        return syntax.Subscript(self.name, tuple(map(_node, parts)), _here())

    def __getitem__(self, indices: "Operand | tuple[Operand, ...]") -> Value:
        return Value(self._subscript(indices))

    def __setitem__(self, indices: "Operand | tuple[Operand, ...]", value: "Operand | Filtered") -> None:
        left = self._subscript(indices)
        if isinstance(value, Filtered):
            parts = value.value, value.predicate, value.otherwise
        else:
            parts = _node(value), None, None
        self._builder.add(syntax.EquationStatement(left, *parts, self._is_init, _here()))


class _Inits:
    """`c.init.RM[0, p] = ...`: the early generations of iterative tensors."""

    def __init__(self, builder: "CascadeBuilder") -> None:
        self._builder = builder

    def __getattr__(self, name: str) -> TensorHandle:
        return TensorHandle(self._builder, name, is_init=True)


class CascadeBuilder:
    """Collects the statements of a cascade; `build` checks them.

    Every attribute that is not a method is a tensor: `c.QK[m, p] = Q[e, p] * K[e, m]`. A name that clashes with a
    method, or is made at run time, goes through `c.tensor_named("input")[...]`.

    Examples
    --------
    >>> c = CascadeBuilder("total")
    >>> m = c.rank_variable("m", c.rank("M"))
    >>> X = c.input("X", m)
    >>> c.S[()] = X[m].sum(m)
    >>> c.output("S")
    >>> print(c.build())
    cascade total
    rank M
    input X[m:M]
    S[] = sum[m](X[m])
    output S

    """

    def __init__(self, name: str, documentation: str = "", operators: Registry = OPERATORS) -> None:
        """Start an empty cascade."""
        self._name, self._documentation, self._operators = name, documentation, operators
        self._statements: list[syntax.Statement] = []
        self._start = _here()
        self.init = _Inits(self)

    def __getattr__(self, name: str) -> TensorHandle:
        if name.startswith("_"):
            raise AttributeError(name)
        return TensorHandle(self, name)

    def add(self, statement: syntax.Statement) -> None:
        """Append a statement."""
        self._statements.append(statement)

    def tensor_named(self, name: str) -> TensorHandle:
        """Return a tensor by name."""
        return TensorHandle(self, name)

    def rank(self, name: str, extent: "Operand | None" = None) -> RankHandle:
        """Declare a rank; a rank as `extent` makes an alias of it, an expression a default."""
        node = None if extent is None else _node(extent)
        self.add(syntax.RankStatement(syntax.Name(name, _here()), node))
        return RankHandle(name)

    def require(self, relation: Value) -> None:
        """State what is known of extents, as in `c.require(G >= 2)`: proofs rely on it, and numbers must meet it."""
        node = relation.node
        if not isinstance(node, syntax.Call) or node.operator not in RELATIONS:
            raise TypeError("a relation of extents must be a comparison, as in c.require(G >= 2)")
        self.add(syntax.RelationStatement(node))

    def rank_variable(self, name: str, rank: RankHandle) -> Value:
        """Bind a variable to a rank."""
        self.add(syntax.VariableStatement((syntax.Name(name, _here()),), syntax.Name(rank.name, _here())))
        return Value(syntax.Name(name))

    def ranks(self, **variables: RankHandle) -> tuple[Value, ...]:
        """Bind variables to ranks, given as `variable=RANK`, and return the variables in that order."""
        return tuple(self.rank_variable(name, rank) for name, rank in variables.items())

    def input(self, name: str, *variables: Value) -> TensorHandle:
        """Declare an input with one variable per dimension."""
        return self._declare("input", name, variables)

    def param(self, name: str, *variables: Value) -> TensorHandle:
        """Declare an input that is static."""
        return self._declare("param", name, variables)

    def tensor(self, name: str, *variables: Value) -> TensorHandle:
        """Declare a computed tensor whose left indices are not plain variables."""
        return self._declare("tensor", name, variables)

    def _declare(self, role: str, name: str, variables: tuple[Value, ...]) -> TensorHandle:
        here = _here()
        bindings = tuple(_binding(variable.node, here) for variable in variables)
        self.add(syntax.TensorStatement(role, syntax.Name(name, here), bindings))
        return TensorHandle(self, name)

    def output(self, *tensors: "str | TensorHandle") -> None:
        """Name the outputs."""
        here = _here()
        names = (tensor if isinstance(tensor, str) else tensor.name for tensor in tensors)
        self.add(syntax.OutputStatement(tuple(syntax.Name(name, here) for name in names)))

    def build(self) -> Cascade:
        """Check what was written and return the cascade.

        Raises
        ------
        CheckError
            With every mistake, each at its Python file and line.

        """
        module = syntax.Module(self._name, tuple(self._statements), self._documentation, self._start)
        return check(module, self._operators)


def cascade(function: Callable[..., "TensorHandle | tuple[TensorHandle, ...] | None"]) -> Cascade:
    """Turn a function into the cascade it describes.

    The first parameter is the builder; every other one declares a rank of its name, free, or with the default's value
    as its extent. What the function returns are the outputs.

    Raises
    ------
    CheckError
        With every mistake, each at its Python file and line.

    Examples
    --------
    >>> @cascade
    ... def total(c, M, P):
    ...     "Sum each column."
    ...     m, p = c.ranks(m=M, p=P)
    ...     X = c.input("X", m, p)
    ...     c.S[p] = X[m, p].sum(m)
    ...     return c.S
    >>> total.name, total.outputs
    ('total', ('S',))

    """
    name = getattr(function, "__name__", "cascade")
    builder = CascadeBuilder(name, inspect.cleandoc(function.__doc__ or ""))
    _, *parameters = inspect.signature(function).parameters.values()
    defaults = {p.name: None if p.default is p.empty else p.default for p in parameters}
    ranks = [builder.rank(rank, extent) for rank, extent in defaults.items()]
    outputs = function(builder, *ranks)
    if outputs is not None:
        builder.output(*(outputs if isinstance(outputs, tuple) else (outputs,)))
    return builder.build()


def _infix(operator: str, left: Operand, right: Operand) -> Value:
    return Value(syntax.Call(operator, (_node(left), _node(right)), None, _here()))


def _node(operand: object) -> Expression:
    if isinstance(operand, Value):
        return operand.node
    if isinstance(operand, int | float) and not isinstance(operand, bool):
        return syntax.Number(operand, _here())
    if isinstance(operand, TensorHandle):
        raise TypeError(f"tensor {operand.name!r} must be read with its indices in brackets, as {operand.name}[...]")
    raise TypeError(f"an expression must be made of tensors, rank variables, ranks and numbers, not {operand!r}")


def _binding(node: Expression, here: Span) -> syntax.Binding:
    if isinstance(node, syntax.Name):
        is_rank = node.name[:1].isupper()
        return syntax.Binding("" if is_rank else node.name, node.name if is_rank else "", here)
    raise TypeError(f"a tensor must be declared with one rank variable per dimension, not {node!r}")


def _here() -> Span:
    """Return the line of the user's code: the innermost frame outside this module."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage] - inspect.currentframe may return None
    while frame.f_back is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    file = frame.f_code.co_filename
    return Span(file, frame.f_lineno, text=linecache.getline(file, frame.f_lineno).rstrip("\n"))
