"""What the host does of a cascade beside the programs of an array: Einsums in the interpreter, in float64.

Results of programs are inputs to it, as the array left them. In memory, what a filter leaves out is 0; here it is
absent again, as in the cascade, so that a maximum does not see it.
"""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from einsum_cascade.cascade.affine import affine_variable
from einsum_cascade.cascade.ir import Apply, Cascade, Comparison, Constant, Dimension, Einsum, Expression, Read, Tensor
from einsum_cascade.cascade.operators import OPERATORS
from einsum_cascade.cascade.transform import as_input, own_extents, rebuild
from einsum_cascade.interpreter import evaluate
from einsum_cascade.recognition.absence import absent_tensors
from einsum_cascade.recognition.sequence import HostWork
from einsum_cascade.recognition.works import ArrayWork

__all__ = ["run_host"]

type Array = NDArray[Any]


def run_host(
    work: HostWork, tensors: Mapping[str, Array], makers: Mapping[str, ArrayWork], extents: Mapping[str, int]
) -> dict[str, Array]:
    """Return what the host makes for those after it.

    Parameters
    ----------
    work
        What it does. What it makes of tensors that the host made before is made anew, which keeps what is absent.
    tensors
        The inputs of the cascade, and results of programs of the array.
    makers
        The work of the array that made a tensor, by name.
    extents
        Of all ranks.

    Raises
    ------
    EvaluationError
        It divides by a sum over nothing, as `evaluate` says.

    """
    cascade = work.cascade
    kept = _needed(cascade, work.outputs, frozenset(makers))
    einsums = tuple(each for each in cascade.einsums if each.tensor in kept)
    read = {each.tensor for einsum in einsums for each in einsum.all_reads} - kept
    given = {name: tensors[name] for name in read}
    inputs = [as_input(each) for each in cascade.tensors if each.name in read]
    absences: list[Einsum] = []
    for name in sorted(read & makers.keys()):
        if name in absent_tensors(makers[name].workload):
            tensor = cascade.tensor[name]
            values, there = (as_input(tensor, _unused(cascade, f"{name}_{what}")) for what in ("made", "there"))
            inputs = [*(each for each in inputs if each.name != name), values, there]
            given |= {values.name: given.pop(name), there.name: _presence(makers[name], name, tensors, extents)}
            condition = Comparison("==", _read(there), Constant(1))
            absences.append(Einsum(name, _indices(tensor), _read(values), where=condition))
    part = rebuild(cascade, (*absences, *einsums), given=inputs, outputs=work.outputs)
    return evaluate(part, given, own_extents(part, extents))


def _needed(cascade: Cascade, outputs: tuple[str, ...], made: frozenset[str]) -> frozenset[str]:
    """Return the computed tensors that some are made from, in any number of steps, up to those of the array."""
    found: set[str] = set()
    new = {*outputs}
    while new:
        found |= new
        reads = {read.tensor for each in cascade.einsums if each.tensor in new for read in each.all_reads}
        new = {name for name in reads if not cascade.tensor[name].is_given} - found - made
    return frozenset(found)


def _presence(work: ArrayWork, name: str, tensors: Mapping[str, Array], extents: Mapping[str, int]) -> Array:
    """Return 1 where a result of the array has an element, 0 where it is absent."""
    cascade = work.cascade
    tensor = cascade.tensor[name]
    there = _unused(cascade, f"{name}_there")
    # Any number but 0, or NaN, is there; an absent element of an output is 0.
    least: Expression = Apply(OPERATORS["min"], (_read(tensor), Constant(1)))
    einsum = Einsum(there, _indices(tensor), Apply(OPERATORS["max"], (least, Constant(1))))
    told = rebuild(cascade, (*cascade.einsums, einsum), outputs=(there,))
    given = {each.name: tensors[each.name] for each in told.inputs}
    return (evaluate(told, given, own_extents(told, extents), allows_empty=True)[there] != 0).astype(float)


def _unused(cascade: Cascade, name: str) -> str:
    while name in cascade.tensor:
        name += "_"
    return name


def _indices(tensor: Tensor) -> tuple[Any, ...]:
    return tuple(map(_index, tensor.dimensions))


def _index(dimension: Dimension) -> Any:
    return affine_variable(dimension.variable)


def _read(tensor: Tensor) -> Read:
    return Read(tensor.name, _indices(tensor))
