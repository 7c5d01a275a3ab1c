"""The interpreter: the values of a cascade, by NumPy. It is the meaning that everything else is tested against.

- Points and elements. An Einsum maps its expression over the points of its iteration space, reduces and populates. A
  point is absent if its own filter fails and there is no `else`, if an element that it reads is absent, if an index of
  a partition counts past the end, or if it reads a coordinate of a declared tensor that nothing writes. Where no
  reduced variable is named, that makes the element absent; where one is, a reduction does not see the point. Details,
  `else` among them, in `presence`. An absent element of an output is written as 0.
- Nothing left. A reduction over nothing gives the operator's identity and is remembered as such; to divide by it is an
  error unless `else` says what that gives (`emptiness`). Any other 0/0 is NumPy's NaN.
- Numbers. Tensors are stored in one format, see `einsum_cascade.formats`. Filters see inputs as given.
- Generations. An iterative tensor has generations 0 to n of a rank of extent n. Its equations run in a loop over tiles,
  with all that is pointwise in the loop's variable (`stage_order`), and only the generations still needed are kept.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from einsum_cascade.cascade.extents import resolve_extents
from einsum_cascade.cascade.ir import Cascade, reads_of_predicate
from einsum_cascade.formats import Format, parse_format, round_to
from einsum_cascade.interpreter.equation_facts import EquationFacts
from einsum_cascade.interpreter.executor import run_plan
from einsum_cascade.interpreter.frame import RunContext
from einsum_cascade.interpreter.inputs import as_control, check_inputs, random_inputs
from einsum_cascade.interpreter.lifetimes import plan
from einsum_cascade.interpreter.space import Array
from einsum_cascade.interpreter.store import Store
from einsum_cascade.interpreter.views import IndexNumbers

__all__ = ["evaluate", "random_inputs"]


def evaluate(
    cascade: Cascade,
    inputs: Mapping[str, ArrayLike],
    extents: Mapping[str, int] | None = None,
    *,
    dtype: str | Format = "float64",
    allows_empty: bool = False,
) -> dict[str, Array]:
    r"""Evaluate a cascade.

    Parameters
    ----------
    cascade
        A checked cascade.
    inputs
        An array for every input and param, by name.
    extents
        Settings for ranks; the shapes of the inputs tell the others.
    dtype
        The format that tensors are stored in.
    allows_empty
        Whether to divide by a reduction over nothing, which gives NaN or infinity, instead of refusing.

    Returns
    -------
    dict
        The outputs by name, in the order of the cascade, as float32 or float64 arrays of values of the format. An
        iterative tensor has one generation more than its rank has coordinates.

    Raises
    ------
    EvaluationError
        An input is missing, unknown or of the wrong shape, extents contradict one another, an index leaves its tensor
        where the filter lets it, or a quotient divides by a reduction over nothing.

    Examples
    --------
    >>> from einsum_cascade.cascade import parse
    >>> cascade = parse("rank K\ninput A[k:K], B[k]\nZ[] = A[k] * B[k]\noutput Z")
    >>> evaluate(cascade, {"A": [1, 2, 3], "B": [4, 5, 6]})
    {'Z': array(32.)}

    """
    form = parse_format(dtype)
    arrays = check_inputs(cascade, inputs)
    numbers = IndexNumbers(cascade, resolve_extents(cascade, extents or {}, {n: a.shape for n, a in arrays.items()}))
    stored = {name: round_to(array, form) for name, array in arrays.items()}
    store = Store(cascade, plan(cascade), numbers, stored, form.arithmetic)
    controls = {name: as_control(arrays[name]) for name in _read_by_filters(cascade)}
    with np.errstate(all="ignore"):
        run_plan(
            RunContext(cascade, numbers, store, form, EquationFacts(cascade, numbers.extents), controls, allows_empty)
        )
        return {name: _output(store, name) for name in cascade.outputs}


def _read_by_filters(cascade: Cascade) -> frozenset[str]:
    filters = (einsum.where for einsum in cascade.einsums if einsum.where is not None)
    return frozenset(read.tensor for where in filters for read in reads_of_predicate(where))


def _output(store: Store, name: str) -> Array:
    """Return an array of the caller's own."""
    value = store.whole(name)
    is_free = value.is_owned and value.array.flags.c_contiguous
    return value.array if is_free else np.array(value.array, order="C")
