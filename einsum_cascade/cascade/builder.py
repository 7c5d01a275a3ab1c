"""Write a cascade in Python: the same syntax as the text form, with the positions of Python lines.

The decorator and the class produce the unchecked `Module` that the parser produces as well; the checker does the rest.
"""

import inspect
import linecache
from collections.abc import Callable, Iterable, Iterator
from typing import Never, cast

from einsum_cascade.cascade import syntax
from einsum_cascade.cascade.checker import check
from einsum_cascade.cascade.ir import Cascade
from einsum_cascade.cascade.misuse import Variables, refuse_arithmetic
from einsum_cascade.cascade.operators import OPERATORS, Registry
from einsum_cascade.cascade.position import here, refusal
from einsum_cascade.cascade.relation import RELATIONS
from einsum_cascade.cascade.values import (
    Filtered,
    Function,
    Operand,
    RankHandle,
    Value,
    node_of,
    where,
)
from einsum_cascade.errors import Span

__all__ = ["CascadeBuilder", "Filtered", "Function", "RankHandle", "TensorHandle", "Value", "cascade", "where"]


class TensorHandle:
    """A tensor: subscript it to read it, assign to a subscript to define it."""

    __slots__ = ("_builder", "_is_init", "name")

    def __init__(self, builder: "CascadeBuilder", name: str, *, is_init: bool = False) -> None:
        """Refer to a tensor of a builder by name."""
        self._builder, self.name, self._is_init = builder, name, is_init

    def _subscript(self, indices: "Operand | tuple[Operand, ...]") -> syntax.Subscript:
        parts = indices if isinstance(indices, tuple) else (indices,)
        return syntax.Subscript(self.name, tuple(map(node_of, parts)), here())

    def __getitem__(self, indices: "Operand | tuple[Operand, ...]") -> Value:
        return Value(self._subscript(indices))

    def __getattr__(self, name: str) -> Never:
        if name.startswith("_"):
            raise AttributeError(name)
        raise refusal(self.misuse)

    def __iter__(self) -> Iterator[Never]:
        raise refusal(self.misuse)

    @property
    def misuse(self) -> str:
        """What is wrong where the tensor stands by itself."""
        return f"tensor {self.name!r} must be read with its indices in brackets, as {self.name}[...]"

    def __setitem__(self, indices: "Operand | tuple[Operand, ...]", value: "Operand | Filtered") -> None:
        left = self._subscript(indices)
        if isinstance(value, Filtered):
            parts = value.value, value.predicate, value.otherwise
        else:
            parts = node_of(value), None, None
        self._builder.add(syntax.EquationStatement(left, *parts, self._is_init, here()))


refuse_arithmetic(TensorHandle)


class _Inits:
    """`c.init.RM[0, p] = ...`: the early generations of iterative tensors."""

    def __init__(self, builder: "CascadeBuilder") -> None:
        self._builder = builder

    def __getattr__(self, name: str) -> TensorHandle:
        return TensorHandle(self._builder, name, is_init=True)

    def __setattr__(self, name: str, value: object) -> None:
        if not name.startswith("_"):
            raise refusal(f"tensor {name!r} must be given with its indices, as c.init.{name}[..., 0, ...] = ...")
        super().__setattr__(name, value)


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
        self._start = here()
        self.init = _Inits(self)

    def __getattr__(self, name: str) -> TensorHandle:
        if name.startswith("_"):
            raise AttributeError(name)
        return TensorHandle(self, name)

    def __setattr__(self, name: str, value: object) -> None:
        if not name.startswith("_") and name != "init":
            raise refusal(f"tensor {name!r} must be defined with its indices, as c.{name}[...] = ...")
        super().__setattr__(name, value)

    @property
    def _last_tensor(self) -> str:
        """The tensor that the last equation defines, for a sentence."""
        tensors = (s.left.tensor for s in reversed(self._statements) if isinstance(s, syntax.EquationStatement))
        return next(tensors, "T")

    def add(self, statement: syntax.Statement) -> None:
        """Append a statement."""
        self._statements.append(statement)

    def tensor_named(self, name: str) -> TensorHandle:
        """Return a tensor by name."""
        return TensorHandle(self, name)

    def rank(self, name: str, extent: "Operand | None" = None) -> RankHandle:
        """Declare a rank; a rank as `extent` makes an alias of it, an expression a default."""
        node = None if extent is None else node_of(extent)
        self.add(syntax.RankStatement(syntax.Name(name, here()), node))
        return RankHandle(name)

    def require(self, relation: Value) -> None:
        """State what is known of extents, as in `c.require(G >= 2)`: proofs rely on it, and numbers must meet it."""
        node = relation.node
        if not isinstance(node, syntax.Call) or node.operator not in RELATIONS:
            raise refusal("a relation of extents must be a comparison, as in c.require(G >= 2)")
        self.add(syntax.RelationStatement(node))

    def rank_variable(self, name: str, rank: RankHandle) -> Value:
        """Bind a variable to a rank."""
        self.add(syntax.VariableStatement((syntax.Name(name, here()),), syntax.Name(_rank_name(name, rank), here())))
        return Value(syntax.Name(name))

    def ranks(self, **variables: RankHandle) -> tuple[Value, ...]:
        """Bind variables to ranks, given as `variable=RANK`, and return the variables in that order."""
        return Variables(self.rank_variable(name, rank) for name, rank in variables.items())

    def input(self, name: str, *variables: Value) -> TensorHandle:
        """Declare an input with one variable per dimension."""
        return self._declare("input", name, variables)

    def param(self, name: str, *variables: Value) -> TensorHandle:
        """Declare an input that is static."""
        return self._declare("param", name, variables)

    def tensor(self, name: str, *variables: Value) -> TensorHandle:
        """Declare a computed tensor whose left indices are not plain variables."""
        return self._declare("tensor", name, variables)

    def _declare(self, role: str, name: str, variables: tuple[object, ...]) -> TensorHandle:
        place = here()
        bindings = tuple(_binding(variable, place) for variable in variables)
        self.add(syntax.TensorStatement(role, syntax.Name(name, place), bindings))
        return TensorHandle(self, name)

    def output(self, *tensors: "str | TensorHandle") -> None:
        """Name the outputs."""
        self._add_outputs(tensors, here())

    def _add_outputs(self, tensors: Iterable[object], place: Span) -> None:
        names = [syntax.Name(self._output_name(tensor, place), place) for tensor in tensors]
        self.add(syntax.OutputStatement(tuple(names)))

    def _output_name(self, tensor: object, place: Span) -> str:
        match tensor:
            case str():
                return tensor
            case TensorHandle():
                return tensor.name
            case Value(node=syntax.Subscript(name)):
                raise refusal(f"an output must be a tensor without indices, as c.{name}", place)
            case _:
                raise refusal(f"an output must be a tensor, as c.{self._last_tensor}, not {tensor!r}", place)

    def finish(self, returned: object, end: Span) -> None:
        """Take what the function of a cascade returns as its outputs; it may return nothing if it named them.

        Parameters
        ----------
        returned
            One or several tensors.
        end
            Where the function ends.

        """
        has_outputs = any(isinstance(statement, syntax.OutputStatement) for statement in self._statements)
        if returned is not None:
            self._add_outputs(cast("list[object]", returned) if isinstance(returned, tuple | list) else [returned], end)
        elif not has_outputs:
            last = self._last_tensor
            raise refusal(f"a cascade's function must return its outputs; end it with return c.{last}", end)

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
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters:
        raise refusal(f"a cascade's function must take the builder and its ranks, as in def {name}(c, E, M)")
    parameters = parameters[1:]
    defaults = {p.name: None if p.default is p.empty else p.default for p in parameters}
    ranks = [builder.rank(rank, extent) for rank, extent in defaults.items()]
    outputs = function(builder, *ranks)
    builder.finish(outputs, _last_line(function))
    return builder.build()


def _last_line(function: Callable[..., object]) -> Span:
    """Return the last line of a function that does something."""
    code = getattr(function, "__code__", None)
    if code is None:
        return here()
    line = max(line for _, _, line in code.co_lines() if line is not None)
    return Span(code.co_filename, line, text=linecache.getline(code.co_filename, line).rstrip("\n"))


def _rank_name(variable: str, rank: object) -> str:
    if isinstance(rank, RankHandle):
        return rank.name
    raise refusal(f"variable {variable!r} must be bound to a rank, as in {variable}=c.rank('M'), not to {rank!r}")


def _binding(variable: object, place: Span) -> syntax.Binding:
    match variable:
        case Value(node=syntax.Name(name)):
            is_rank = name[:1].isupper()
            return syntax.Binding("" if is_rank else name, name if is_rank else "", place)
        case Value():
            raise refusal("a tensor must be declared with one rank variable per dimension, not with an expression")
        case _:
            node_of(variable)
            raise refusal(f"a tensor must be declared with one rank variable per dimension, not with {variable!r}")
