"""A cascade ready to run on an array: its programs and what the host does, and how tensors go from one to the next."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.array.memory import Roundings, rounded
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.cascade.ir import Cascade
from einsum_cascade.lowering.host import run_host
from einsum_cascade.lowering.lowered import Lowered
from einsum_cascade.lowering.steps import Step
from einsum_cascade.recognition.sequence import HostWork, Work
from einsum_cascade.recognition.works import ArrayWork

__all__ = ["Execute", "Judge", "Prepared"]

type Tensors = Mapping[str, NDArray[Any]]
"""Tensors by name."""

type Execute = Callable[[int, Tensors], NDArray[np.float32] | None]
"""Gives the results of a program, (H, F, P), from its number and all tensors that are there; None ends a run."""

type Judge = Callable[[Sequence[Step], Tensors, Mapping[str, NDArray[np.float32]]], None]
"""Gets the programs of a work, the tensors that were there, and what was made of them."""


@dataclass(frozen=True, repr=False)
class Prepared:
    """A cascade ready to run on an array.

    Parameters
    ----------
    cascade
        The cascade.
    steps
        Its programs, in the order in which they run, all for one array.
    extents
        Of all ranks.
    works
        What the array and the host do, in the order in which they do it.
    saturates
        Whether what is beyond the operand format becomes its greatest number, in place of infinite or NaN.
    reasons
        Of programs that were to run in one submission, why results that they read go through the host, by name.

    """

    cascade: Cascade
    steps: tuple[Step, ...]
    extents: Mapping[str, int]
    works: tuple[Work, ...]
    saturates: bool = False
    reasons: Mapping[str, str] = field(default_factory=dict[str, str])

    def __repr__(self) -> str:
        return f"<Prepared {self.cascade.name}: {len(self.steps)} programs>"

    @property
    def host_works(self) -> tuple[HostWork, ...]:
        """What the host does."""
        return tuple(work for work in self.works if isinstance(work, HostWork))

    @property
    def submissions(self) -> int:
        """How many times the host prepares a memory, starts programs on it, and reads what they made."""
        return len({step.submission for step in self.steps})

    def submission_of(self, number: int) -> range:
        """Return the numbers of the steps that run on one memory from this one on."""
        own = self.steps[number].submission
        end = next((at for at in range(number, len(self.steps)) if self.steps[at].submission != own), len(self.steps))
        return range(number, end)

    @property
    def shape(self) -> ArrayShape:
        """The array."""
        return self.steps[0].lowered.program.shape

    @property
    def lowered(self) -> Lowered:
        """The program and its schedule, of a cascade that is one program."""
        (step,) = self.steps
        return step.lowered

    def stored(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return tensors rounded to the operands of the array; what it does not read stays as it is."""
        form, read = self.shape.numbers.operand, self._operands
        return {
            name: rounded(np.asarray(values), form, saturates=self.saturates) if name in read else np.asarray(values)
            for name, values in inputs.items()
        }

    def roundings(self, tensors: Mapping[str, NDArray[Any]]) -> Roundings:
        """Return what `stored` does to tensors."""
        form, after = self.shape.numbers.operand, self.stored(tensors)
        read = (name for name in tensors if name in self._operands)
        return sum((Roundings.of(np.asarray(tensors[name]), after[name], form) for name in read), Roundings())

    @cached_property
    def _operands(self) -> frozenset[str]:
        """What the array reads; what only filters or the host read are numbers of the host."""
        return frozenset(
            operand.tensor
            for work in self._array_works
            for operand in (work.query, work.key, work.value, work.weight)
            if operand is not None
        )

    def operands(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the operands of the array from the inputs of a cascade that is one program."""
        (step,) = self.steps
        return step.operands(self.stored(inputs))

    def run(
        self,
        stored: Mapping[str, NDArray[Any]],
        execute: Execute,
        judge: Judge | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Return the tensors that programs and host make, one after the other; those after read what those before made.

        Parameters
        ----------
        stored
            The inputs of the cascade, of the operand format.
        execute
            Gives the results of a program.
        judge
            Is told of every work of the array, if given.

        Raises
        ------
        EvaluationError
            The host divides by a sum over nothing.

        """
        exact, tensors, made = {**stored}, {**stored}, dict[str, NDArray[Any]]()
        makers = {operand.tensor: work for work in self._array_works for operand in work.results}
        for work in self.works:
            if isinstance(work, HostWork):
                found = run_host(work, exact, makers, self.extents)
            else:
                found = self._run_array(work, tensors, execute, judge)
            if found is None:
                break
            made |= found
            exact |= found
            tensors |= self.stored(found)
        return made

    def _run_array(
        self,
        work: ArrayWork,
        tensors: Mapping[str, NDArray[Any]],
        execute: Execute,
        judge: Judge | None,
    ) -> dict[str, NDArray[np.float32]] | None:
        """Return what the programs of a work make; None if one did not end well."""
        programs = [(number, step) for number, step in enumerate(self.steps) if step.work is work]
        step = programs[0][1]
        room = step.empty_results()
        for number, each in programs:
            output = execute(number, tensors)
            if output is None:
                return None
            each.place(room, output)
        found = step.tensors(room)
        if judge is not None:
            judge([each for _, each in programs], tensors, found)
        return found

    @property
    def _array_works(self) -> tuple[ArrayWork, ...]:
        return tuple(work for work in self.works if isinstance(work, ArrayWork))

    @property
    def schedule_cycles(self) -> int:
        """Cycles of the schedules of all programs."""
        return sum(step.cycles for step in self.steps)
