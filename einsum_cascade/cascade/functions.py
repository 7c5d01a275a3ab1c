"""The built-in operators as Python functions on values, and `operator`, which adds the user's own.

Each built-in operator of the registry that is written as a call is here under its name. Python's names follow NumPy
where a built-in function is in the way: `maximum`, `minimum`, `absolute`.
"""

from collections.abc import Callable
from typing import Any

from einsum_cascade.cascade.operators import OPERATORS, register
from einsum_cascade.cascade.values import Function

__all__ = ["names", "operator"]

_PYTHON_NAMES = {"abs": "absolute", "max": "maximum", "min": "minimum"}
_SIGNS = {"neg"}
"""Operators with a name that are written as a sign."""


def names() -> dict[str, str]:
    """Return the operators that are functions here, by their names in Python.

    Examples
    --------
    >>> names()["maximum"], names()["exp"]
    ('max', 'exp')

    """
    called = (name for name in OPERATORS if name.isidentifier() and name not in _SIGNS)
    own = (name for name in called if OPERATORS[name].is_builtin and OPERATORS[name].name == name)
    return {_PYTHON_NAMES.get(name, name): name for name in own}


def __getattr__(name: str) -> Function:
    """Return the function of an operator, the same one every time."""
    found = names().get(name)
    if found is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, Function(OPERATORS[found]))


def __dir__() -> list[str]:
    """Return the names, those of the operators as well."""
    return sorted((*__all__, *names()))


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
