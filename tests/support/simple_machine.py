"""The machine that AccelForge's example `simple` describes, with its matrix product, as ours."""

from einsum_cascade import parse
from einsum_cascade.arch.ir import Architecture, Component, Engine, Memory, Operation, RegisterFile
from einsum_cascade.cascade.extent import constant
from einsum_cascade.cost.estimate import CostEstimate, estimate
from einsum_cascade.mapping.ir import Block, Compute, Keep, Loop, Mapping
from einsum_cascade.mapping.workload import Workload

__all__ = ["LEVELS", "WORD_BITS", "estimated_simple", "mapping_of", "simple_machine"]

PRODUCT = "rank M, N0, N1\ninput T0[m:M, n0:N0], W0[n0:N0, n1:N1]\nT1[m, n1] = T0[m, n0] * W0[n0, n1]\noutput T1"
LEVELS = {"MainMemory": "dram", "GlobalBuffer": "buffer"}
WORD_BITS = 8


def simple_machine(dram_energy: float, buffer_bits: int | None) -> Architecture:
    """One multiply-add per cycle, two memories without limits of bandwidth, and an energy per bit and multiply-add.

    Its unit of energy has no name; it is a picojoule here.
    """

    def memory(name, energy, bits):
        each = energy * WORD_BITS
        capacity = None if bits is None else bits // 8
        return Memory(name, capacity, WORD_BITS, None, None, is_shared=False, instances=1, read_pj=each, write_pj=each)

    mac = Operation("mac", 1, 1, (("mac", 1),))
    engine = Engine("mac", 1, 1, (mac,), RegisterFile(1, WORD_BITS, 0.0, 0.0, 0.0), None, frozenset(), frozenset())
    memories = (memory("dram", dram_energy, None), memory("buffer", 1, buffer_bits))
    return Architecture("simple", 10**9, WORD_BITS, memories, (engine,), (Component("mac", 1.0, 0.0),))


def mapping_of(steps) -> Mapping:
    """Take over a mapping as it is: `(loop, variable, tile)` and `(keep, level, tensors)`, outermost first."""
    return Mapping(
        "simple",
        Block(
            tuple(
                Loop(what, constant(value)) if kind == "loop" else Keep(LEVELS[what], tuple(value))
                for kind, what, value in steps
            ),
            (Compute("T1", "mac"),),
        ),
    )


def estimated_simple(m: int, kn: int, dram_energy: float, buffer_bits: int | None, steps) -> CostEstimate:
    extents = {"M": m, "N0": kn, "N1": kn}
    machine = simple_machine(dram_energy, buffer_bits)
    return estimate(Workload(parse(PRODUCT)), machine, mapping_of(steps), extents)
