"""The programs of the array, and those that run one after another on one memory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from einsum_cascade.array.memory import memory_bytes
from einsum_cascade.array.program import Layout, Program
from einsum_cascade.array.program_rules import check_program
from einsum_cascade.lowering.chains import Chain, layout_of
from einsum_cascade.lowering.lowered import Lowered
from einsum_cascade.recognition.works import ArrayWork

__all__ = ["ArrayProgram", "submitted"]


@dataclass(frozen=True, slots=True)
class ArrayProgram:
    """One program of a cascade.

    Parameters
    ----------
    work
        What of the cascade it does.
    lowered
        The program and its schedule.
    heads
        Of keys: those that it does.
    submission
        Programs next to each other with the same number run on one memory, one after the other.
    held
        Operands, such as `query`, that programs before it on that memory leave where it reads them.

    """

    work: ArrayWork
    lowered: Lowered
    heads: range
    submission: int
    held: frozenset[str] = frozenset()

    @property
    def cycles(self) -> int:
        """Cycles of the schedule, from the first instruction to the last lane having done the last."""
        program = self.lowered.program
        return int(self.lowered.schedule.cycles(program.tile_count)) + program.shape.depth_cycles


def submitted(
    chain: Chain, programs: Sequence[ArrayProgram], extents: Mapping[str, int], *, saturates: bool = False
) -> Iterator[ArrayProgram]:
    """Yield the programs of a chain, those of each of its runs on one memory.

    Their tensors are side by side there, and after them what stays between them.

    Parameters
    ----------
    chain
        The works, and what stays in memory.
    programs
        Those of the works, in order, each with its tensors from address 0 on.
    extents
        Of all ranks.
    saturates
        Whether results that stay become the greatest number of the operand format where they are beyond it.

    Raises
    ------
    IllegalMappingError
        The tensors of programs on one memory are more than addresses reach.

    """
    for number, run in enumerate(chain.runs):
        works = [chain.works[at] for at in run]
        own = [each for each in programs if any(each.work is work for work in works)]
        end, first = 0, list[int]()
        for each in own:
            first.append(end)
            end += memory_bytes(each.lowered.program)
        addresses: dict[str, int] = {}
        for name in dict.fromkeys(each.work.output.tensor for each in own):
            if name in chain.held:
                addresses[name], end = end, end + chain.held[name].size_bytes
        for each, address in zip(own, first, strict=True):
            program = _moved(each.lowered.program, address)
            held = {role: _layout(chain, each, role, addresses, extents) for role in _names(each.work, addresses)}
            if "output" in held:
                program = replace(program, has_operand_rows=True, saturates=saturates)
            program = check_program(replace(program, **held))
            lowered = replace(each.lowered, program=program)
            yield replace(each, lowered=lowered, submission=number, held=frozenset(held) - {"output"})


def _moved(program: Program, by: int) -> Program:
    """Return a program whose tensors lie further on in memory."""
    layouts = {name: getattr(program, name) for name in ("query", "key", "value", "output", "state")}
    moved = {name: replace(own, address=own.address + by) for name, own in layouts.items() if own is not None}
    return replace(program, **moved)


def _names(work: ArrayWork, addresses: Mapping[str, int]) -> Iterator[str]:
    """Yield what a work reads or writes of what stays in memory."""
    for role in ("query", "key", "value", "output"):
        operand = getattr(work, role)
        if operand is not None and operand.tensor in addresses:
            yield role


def _layout(
    chain: Chain, each: ArrayProgram, role: str, addresses: Mapping[str, int], extents: Mapping[str, int]
) -> Layout:
    """Return where a program reads or writes a tensor that stays."""
    program, name = each.lowered.program, getattr(each.work, role).tensor
    found = layout_of(each.work, role, chain.held[name], extents, program.shape)
    assert found is not None, "what stays suits all who read it"
    heads = each.heads.start * (program.group if role in ("query", "output") else 1)
    return replace(found, address=addresses[name] + found.address + heads * found.head_stride_bytes)
