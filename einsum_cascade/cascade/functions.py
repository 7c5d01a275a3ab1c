"""The built-in operators as Python functions on values, and `operator`, which adds the user's own.

Python's names follow NumPy where a built-in function is in the way: `maximum`, `minimum`, `absolute`.
"""

from collections.abc import Callable
from typing import Any

from einsum_cascade.cascade.operators import OPERATORS, register
from einsum_cascade.cascade.values import Function

__all__ = [
    "absolute",
    "clamp",
    "cos",
    "exp",
    "expsub",
    "floor",
    "gelu",
    "log",
    "maximum",
    "minimum",
    "operator",
    "relu",
    "rsqrt",
    "select",
    "sigmoid",
    "sin",
    "sqrt",
    "square",
    "tanh",
]

absolute = Function(OPERATORS["abs"])
clamp = Function(OPERATORS["clamp"])
cos = Function(OPERATORS["cos"])
exp = Function(OPERATORS["exp"])
expsub = Function(OPERATORS["expsub"])
floor = Function(OPERATORS["floor"])
gelu = Function(OPERATORS["gelu"])
log = Function(OPERATORS["log"])
maximum = Function(OPERATORS["max"])
minimum = Function(OPERATORS["min"])
relu = Function(OPERATORS["relu"])
rsqrt = Function(OPERATORS["rsqrt"])
select = Function(OPERATORS["select"])
sigmoid = Function(OPERATORS["sigmoid"])
sin = Function(OPERATORS["sin"])
sqrt = Function(OPERATORS["sqrt"])
square = Function(OPERATORS["square"])
tanh = Function(OPERATORS["tanh"])


def operator(name: str, function: Callable[..., Any], arity: int | None = None, **algebra: Any) -> Function:
    """Register an operator and return it as a function on values.

    Parameters
    ----------
    name
        Its name in both notations.
    function
        An elementwise NumPy function.
    arity
        Number of arguments; told from the function if not given.
    **algebra
        What `einsum_cascade.cascade.operators.register` takes: `identity`, `is_associative`, `is_commutative`, ...

    Raises
    ------
    ValueError
        The name belongs to a built-in operator, or the arity cannot be told.

    Examples
    --------
    >>> import numpy as np
    >>> softplus = operator("softplus", lambda x: np.logaddexp(0, x))
    >>> lse = operator("lse", np.logaddexp, identity=-np.inf, is_associative=True, is_commutative=True)

    """
    return Function(register(name, function, arity, **algebra))
