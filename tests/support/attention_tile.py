"""The operations of one tile of the 1-pass attention cascade, as FuseMax (arXiv 2406.10491) binds them.

Cycles per Einsum: QK E, LM 1, SLN 7 (a subtraction and six multiply-adds), SLD 1, SLNV F on the 2D array; RM 1, PRM 7,
SPD 1, SPNV F, RD 1, RNV F on the 1D array, and AV, done once per M1 tiles, F/M1.
"""

from fractions import Fraction

from einsum_cascade.schedule.graph import Context, Dependence, OperationGraph, Resource, TileOperation

__all__ = ["attention_tile", "slot_tile"]

ARRAYS = (Resource("2D"), Resource("1D"))


def attention_tile(e: int, f: int, m1: int | None = None, is_added: bool = False) -> OperationGraph:
    """Blocks. `is_added` merges SPD into RD and SPNV into RNV, one multiply-add each; AV is left out without `m1`."""
    on_2d = [
        TileOperation(name, "2D", cycles)
        for name, cycles in (("QK", e), ("LM", 1), ("SLN", 7), ("SLD", 1), ("SLNV", f))
    ]
    vector = [("RM", 1), ("PRM", 7), ("RD", 1), ("RNV", f)] + ([] if is_added else [("SPD", 1), ("SPNV", f)])
    on_1d = [TileOperation(name, "1D", cycles) for name, cycles in vector]
    edges = [
        ("QK", "LM", 0),
        ("LM", "RM", 0),
        ("RM", "SLN", 0),
        ("SLN", "SLD", 0),
        ("SLN", "SLNV", 0),
        ("RM", "PRM", 0),
    ]
    edges += [("RM", "RM", 1), ("SLD", "RD", 0), ("SLNV", "RNV", 0)]
    if is_added:
        edges += [("PRM", "RD", 0), ("RD", "RD", 1), ("PRM", "RNV", 0), ("RNV", "RNV", 1)]
    else:
        edges += [("PRM", "SPD", 0), ("SPD", "RD", 0), ("RD", "SPD", 1)]
        edges += [("PRM", "SPNV", 0), ("SPNV", "RNV", 0), ("RNV", "SPNV", 1)]
    if m1 is not None:
        on_1d.append(TileOperation("AV", "1D", Fraction(f, m1)))
        edges += [("RNV", "AV", 0), ("RD", "AV", 0)]
    return OperationGraph(ARRAYS, (*on_2d, *on_1d), tuple(Dependence(p, c, 0, d) for p, c, d in edges))


def slot_tile(e: int, f: int, rows: int, stages: int, contexts: int) -> OperationGraph:
    """Chains of slots on an array of `rows` rows whose multiply-add has `stages` stages.

    Times are those of the corner of the array, and of the 1D array `stages * rows` later: that a result leaves the last
    row is a latency between the two. The maximum is back at the top of the column 2 cycles after RM.
    """
    down, back = stages * rows, stages - 1
    operations = (
        TileOperation("QK", "2D", slots=e, spacing=stages),
        TileOperation("LM", "2D"),
        TileOperation("SLN", "2D", slots=7, spacing=stages),
        TileOperation("SLD", "2D"),
        TileOperation("SLNV", "2D", slots=f),
        TileOperation("RM", "1D"),
        TileOperation("PRM", "1D", slots=7, spacing=stages),
        TileOperation("RD", "1D"),
        TileOperation("RNV", "1D", slots=f),
    )
    edges = (
        Dependence("QK", "LM", back),
        Dependence("LM", "RM", down - 1),
        Dependence("RM", "RM", distance=1),
        Dependence("RM", "SLN", 2),
        Dependence("SLN", "SLD", back),
        Dependence("SLN", "SLNV", back),
        Dependence("RM", "PRM"),
        Dependence("SLD", "RD", down - 1),
        Dependence("PRM", "RD", back),
        Dependence("RD", "RD", back, 1),
        Dependence("SLNV", "RNV", down, kind="stream"),
        Dependence("PRM", "RNV", back),
        Dependence("RNV", "RNV", stages, 1, "stream"),
    )
    context = Context("score", contexts, "QK", ("SLD", "SLNV"))
    return OperationGraph(ARRAYS, operations, edges, (context,))
