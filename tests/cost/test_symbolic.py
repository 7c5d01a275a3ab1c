"""Formulas: by hand on small cases, and with numbers put in against the estimate for these numbers."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import sympy
from random_counts import random_count
from random_mappings import CASES, random_architecture, random_extents, random_mapping, with_parameters

from einsum_cascade import load_architecture, parse, zoo
from einsum_cascade.analysis.symbolic import evaluate, extent_symbol, substitute
from einsum_cascade.arch.ir import Architecture, Component, Engine, Memory, Operation, RegisterFile
from einsum_cascade.cost.estimate import estimate
from einsum_cascade.errors import MappingError
from einsum_cascade.mapping.codec import parse_mapping
from einsum_cascade.mapping.presets import load_mapping
from einsum_cascade.mapping.symbols import symbolic_values
from einsum_cascade.mapping.tile_footprint import footprint_of
from einsum_cascade.mapping.workload import Workload

PRODUCT = Workload(parse("rank M, N, K\ninput A[m:M, k:K], B[k:K, n:N]\nZ[m, n] = A[m, k] * B[k, n]\noutput Z"))
CONVOLUTION = Workload(parse("rank P, R\nrank W = P + R - 1\ninput I[w:W], G[r:R]\nO[p] = I[p + r] * G[r]\noutput O"))
E, F, K, M, M0, N, P, P1, PE, R, T = map(extent_symbol, ["E", "F", "K", "M", "M0", "N", "P", "P1", "PE", "R", "T"])
KNOWN = (sympy.floor, sympy.ceiling, sympy.Mod, sympy.Min, sympy.Max, sympy.Piecewise)


def machine(links=("broadcast",)):
    """PEs at 1 GHz with words of 16 bits; DRAM moves 8 bytes a ns at 10 pJ per 4 words, a buffer has no limit."""
    rate = Fraction(8 * 10**9)
    dram = Memory("dram", None, 64, rate, rate, True, 1, 10.0, 10.0)
    buffer = Memory("buffer", None, 16, None, None, False, 1, 1.0, 1.0)
    mac = Operation("mac", 1, 1, (("mac", 1),))
    engine = Engine("pes", 64, 64, (mac,), RegisterFile(8, 16, 1.0, 2.0, 0.0), None, frozenset(links), frozenset(links))
    return Architecture("small", 10**9, 16, (dram, buffer), (engine,), (Component("mac", 5.0, 0.0),))


def formulas(workload, text, architecture=None):
    mapping = parse_mapping(text)
    return estimate(workload, architecture or machine(), mapping, symbolic_values(workload, mapping))


def test_tiles_that_share() -> None:
    """Tiles of T x T, rows of A and columns of B serve all PEs of a tile.

    A is read once for each of the ceil(N/T) tiles of n, whatever the tile at the edge of m, since tiles of m add up to
    M. Each tile takes K cycles, whole or not. Of Z, every element is added to K times, and read for all but the first.
    """
    found = formulas(
        PRODUCT,
        """
name: output-stationary
parameters: {T: 2}
steps: [for m by T, for n by T]
body:
  - {steps: [for m on rows, for n on columns, keep Z in pes, for k], compute: Z on pes}
""",
    )
    assert found.accesses["dram", "A"].reads == K * M * sympy.ceiling(N / T)
    assert found.accesses["dram", "B"].reads == K * N * sympy.ceiling(M / T)
    assert found.accesses["dram", "Z"].updates == M * N
    own = found.accesses["pes", "Z"]
    assert (own.updates, sympy.expand(own.reads), own.drains, own.fills) == (K * M * N, K * M * N - M * N, M * N, 0)
    cycles = K * sympy.ceiling(M / T) * sympy.ceiling(N / T)
    assert found.cycles == found.busy_cycles("pes") == cycles
    moved = found.traffic_bytes["dram"]
    words = K * M * sympy.ceiling(N / T) + K * N * sympy.ceiling(M / T) + M * N
    assert sympy.expand(moved - 2 * words) == 0
    # Operands stream beside the operations; a PE has one place for its sum, so nothing runs while the sums leave.
    streamed = 2 * (words - M * N)
    latency = sympy.Max(cycles / 10**9, sympy.expand(streamed / (8 * 10**9))) + 2 * M * N / (8 * 10**9)
    assert sympy.simplify(found.latency_s - latency) == 0
    energy = (words / 4 * 10) + (K * M * N - M * N + M * N) * 1 + K * M * N * 2 + K * M * N * 5
    assert sympy.expand(sympy.nsimplify(found.energy_pj) - energy) == 0


def test_a_tile_that_stays() -> None:
    """B's tile of T columns is filled once per tile; the loop over m around it moves it again, unless it is the only
    tile: then B is filled once in all."""
    text = """
name: kept
parameters: {T: 2}
steps: [for m, for n by T, keep B in buffer]
body:
  - {steps: [for n, for k], compute: Z on pes}
"""
    found = formulas(PRODUCT, text)
    assert found.accesses["buffer", "B"].fills == sympy.Piecewise((K * N, N <= T), (K * M * N, True))
    outside = text.replace("for m, for n by T, keep B in buffer", "for n by T, keep B in buffer, for m")
    assert formulas(PRODUCT, outside).accesses["buffer", "B"].fills == K * N


def test_a_halo() -> None:
    """Tiles of T outputs read T + R - 1 inputs each: P for all tiles, and R - 1 more for each of them."""
    text = """
name: window
parameters: {T: 2}
steps: [for p by T, keep I in buffer]
body:
  - {steps: [for p, for r], compute: O on pes}
"""
    fills = formulas(CONVOLUTION, text).accesses["buffer", "I"].fills
    assert sympy.expand(fills - (P + (R - 1) * sympy.ceiling(P / T))) == 0


def test_tiles_in_tiles() -> None:
    """P1*PE columns in tiles of PE: PE divides them, so there are ceil(P/PE) tiles; with T that need not divide PE,
    the last of the ceil(PE/T) tiles is cut short in every whole outer tile."""
    text = "name: two\nparameters: {PE: 4, P1: 2, T: 3}\nsteps: [for n by P1*PE, for n by PE]\nbody: [Z on pes]\n"
    assert formulas(PRODUCT, text).cycles == K * M * N
    spread = text.replace("body: [Z on pes]", "body:\n  - {steps: [for n on columns, for m, for k], compute: Z on pes}")
    assert formulas(PRODUCT, spread).cycles == K * M * sympy.ceiling(N / PE)
    ragged = spread.replace("for n by P1*PE, for n by PE", "for n by PE, for n by T")
    tiles = sympy.ceiling(PE / T) * sympy.floor(N / PE) + sympy.ceiling(sympy.Mod(N, PE) / T)
    assert sympy.expand(formulas(PRODUCT, ragged).cycles - K * M * tiles) == 0


def test_fusemax() -> None:
    """The binding's tile: E steps for QK, 7 slots of an exponential on 2D; K is read for every block of P1*PE queries
    (docs/fusemax.md: 2EM + 2EM (M/256)/x words with x columns of tiles), or once where it is one tile."""
    workload, mapping = Workload(zoo.load("attention-1pass")), load_mapping("binding")
    found = estimate(workload, load_architecture("fusemax-cloud"), mapping, symbolic_values(workload, mapping))
    tiles = sympy.ceiling(M / M0) * sympy.ceiling(P / PE)
    busy = {bound.task: bound.busy_cycles for bound in found.bounds}
    assert (busy["BQK"], busy["SLN"], busy["SLNV"]) == (E * tiles, 7 * tiles, F * tiles)
    blocks = sympy.ceiling(P / (P1 * PE))
    assert found.accesses["dram", "K"].reads == sympy.Piecewise((E * M, M <= M0), (E * M * blocks, True))
    assert found.accesses["dram", "Q"].reads == E * P


def test_a_share_is_no_integer() -> None:
    """Seven moves of the scores spill, one less the share of each; A is read again for every PE columns of F."""
    workload, mapping = Workload(zoo.load("attention")), load_mapping("flat-on-chip")
    found = estimate(workload, load_architecture("flat-cloud"), mapping, symbolic_values(workload, mapping))
    spilled = [found.accesses["dram", name] for name in ("QK", "SN", "A")]
    share = sympy.Symbol("SHARE", nonnegative=True)
    moves = 6 + sympy.ceiling(F / PE)
    assert sympy.expand(sum(own.read + own.written for own in spilled) - moves * (1 - share) * M * P) == 0


def test_symbols_of_any_kind() -> None:
    """A symbol of which sympy knows nothing gives longer formulas, which are right for extents from 1."""
    mapping = parse_mapping(
        "name: kept\nparameters: {T: 2}\nsteps: [for m, for n by T, keep B in buffer]\nbody: [Z on pes]\n"
    )
    plain = sympy.Symbol("N")
    found = estimate(PRODUCT, machine(), mapping, {"M": 3, "N": plain, "K": 2, "T": 4})
    for extent in range(1, 10):
        alone = estimate(PRODUCT, machine(), mapping, {"M": 3, "N": extent, "K": 2, "T": 4})
        assert evaluate(found.cycles, {"N": extent}) == alone.cycles
        assert evaluate(found.traffic_bytes["dram"], {"N": extent}) == alone.traffic_bytes["dram"]


def with_limits(architecture):
    memories = tuple(
        replace(memory, read_bytes_per_s=Fraction(3 * 10**9), write_bytes_per_s=Fraction(2 * 10**9))
        for memory in architecture.memories
    )
    return replace(architecture, memories=memories, components=(Component("mac", 5.0, 0.0),))


def exact(cost):
    """The numbers that must be equal, not close."""
    kinds = ("fills", "reads", "updates", "drains")
    found = {(*key, kind): getattr(entry, kind) for key, entry in cost.accesses.items() for kind in kinds}
    for bound in cost.bounds:
        found |= {(bound.task, "cycles"): bound.busy_cycles, (bound.task, "points"): bound.points}
    found |= {(str(at), "cycles"): part.cycles for at, part in enumerate(cost.phases)}
    return found | {(name, "bytes"): traffic for name, traffic in cost.traffic_bytes.items()}


def check_parts(expression):
    """Only what sympy has by itself, and no symbol of ours."""
    functions = expression.atoms(sympy.Function)
    assert all(isinstance(function, KNOWN) for function in functions), expression
    assert not expression.atoms(sympy.Dummy), expression


def values_of(rng, case, names):
    extents = random_extents(rng, case)
    return {**extents, **{name: int(rng.integers(1, 9)) for name in names}}


@pytest.mark.parametrize("name", [name for name in CASES if name != "spread"])
def test_numbers_put_into_formulas(name: str, seed: int) -> None:
    """Tiles that do not divide, halos, partitions, multicast, any discipline: equal, not close."""
    case, workload = CASES[name], Workload(parse(CASES[name].text))
    for number in range(random_count(340, nightly=680)):
        rng = np.random.default_rng([seed, 71, number])
        architecture = with_limits(random_architecture(rng))
        names: list[str] = []
        mapping = random_mapping(rng, case, random_extents(rng, case))
        root = with_parameters(rng, mapping.root, names)
        root = replace(root, order=str(rng.choice(["sequence", "overlap", "lock-step"])))
        mapping = replace(mapping, root=root, parameters=tuple((own, 1) for own in names))
        first = values_of(rng, case, names)
        given = {key: value for key, value in first.items() if rng.random() < 0.15 and key not in ("K1", "W")}
        found = estimate(workload, architecture, mapping, symbolic_values(workload, mapping, given))
        formula = exact(found)
        for expression in formula.values():
            check_parts(sympy.sympify(expression))
        for values in (first, {**values_of(rng, case, names), **given}):
            values = with_derived(workload, values)
            alone = estimate(workload, architecture, mapping, values)
            put_in = {key: evaluate(sympy.sympify(own), values) for key, own in formula.items()}
            expected = {key: int(own) for key, own in exact(alone).items()}
            assert put_in == expected, f"case {number} of seed {seed}: {values}\n{mapping}"
            for own, other in ((found.latency_s, alone.latency_s), (found.energy_pj, alone.energy_pj)):
                assert float(substitute(sympy.sympify(own), values)) == pytest.approx(float(other), rel=1e-9)


def with_derived(workload, values):
    """Work out the extents that follow from others anew."""
    found = dict(values)
    for rank in workload.cascade.ranks:
        if rank.extent is not None and rank.extent.names:
            found[rank.name] = rank.extent.evaluate(found)
    return found


@pytest.mark.parametrize("name", ["limit", "slowest"])
def test_what_bounds_it_depends_on_numbers(name) -> None:
    found = formulas(PRODUCT, "name: plain\nsteps: [for m]\nbody: [Z on pes]\n")
    asked = {"limit": lambda: found.limit, "slowest": lambda: found.phases[0].slowest}[name]
    what = {"limit": "what bounds a mapping", "slowest": "which engine is occupied longest"}[name]
    with pytest.raises(MappingError, match=rf"^{what} can be told of numbers only; give a number for K, M, N$"):
        asked()
    with pytest.raises(MappingError, match=r"^what bounds a phase can be told of numbers only; give a number for K"):
        _ = found.phases[0].limit


def test_arrays_and_expressions_do_not_mix() -> None:
    mapping = parse_mapping("name: plain\nsteps: [for m]\nbody: [Z on pes]\n")
    sentence = (
        r"^values must not be arrays and expressions together, but 'N' is an array and 'M' is M; "
        r"give a number for one of them$"
    )
    with pytest.raises(MappingError, match=sentence):
        estimate(PRODUCT, machine(), mapping, {"M": M, "N": np.arange(1, 3), "K": 3})


def elements(index, values):
    ranks = f"rank P, R, U, S, Q\nrank W = {index.translate(str.maketrans('pru', 'PRU'))}\n"
    inputs = "input I[w:W], X[p:P, r:R, u:U], Y[s:S, q:Q]\n"
    body = f"O[p, r, u] = I[{index}] * X[p, r, u] where {index} < W\nL[s, q] = Y[s, q] * 1\n"
    workload = Workload(parse(f"{ranks}{inputs}{body}output O, L"))
    access = workload.task["O"].reads[0]
    sizes = {name.lower(): values[name] for name in "PRU"}
    return footprint_of(access, workload.parts, values).elements(sizes)


def test_strides_by_hand() -> None:
    """P windows of R inputs, S apart: they overlap by R - S, if that is positive. Equal strides add up."""
    values = dict(zip("PRUSQ", map(extent_symbol, "PRUSQ"), strict=True))
    p, r, u, s, _ = values.values()
    assert elements("S*p + r", values) == p * r - (p - 1) * sympy.Max(r - s, 0)
    assert sympy.expand(elements("p + r + u", values) - (p + r + u - 2)) == 0
    one = evaluate(elements("S*p + r + u", values), {"P": 3, "R": 2, "U": 3, "S": 5})
    assert one == len({5 * i + j + k for i in range(3) for j in range(2) for k in range(3)}) == 12


@pytest.mark.parametrize(
    ("index", "sentence"),
    [
        (
            "S*p + Q*r",
            r"two strides of one index must be numbers, or one of them 1, but are [SQ] and [SQ]; give .* Q, S",
        ),
        ("S*p + 2*r + u", r"how many values an index of three or more strides takes can be told of numbers only; .*"),
    ],
)
def test_strides_that_are_refused(index, sentence) -> None:
    """How windows interleave depends on what divides their strides."""
    values = dict(zip("PRUSQ", map(extent_symbol, "PRUSQ"), strict=True))
    with pytest.raises(MappingError, match=rf"^{sentence}$"):
        elements(index, values)
    numbers = {"P": 3, "R": 4, "U": 2, "S": 3, "Q": 2}
    assert elements(index, numbers) > 0


def test_several_reads_by_several_strides_are_told_of_numbers() -> None:
    """Whether `3*p + 2*r` and `3*p + 2*r + 1` meet depends on how many values there are of either."""
    workload = Workload(parse(CASES["spread"].text))
    mapping = parse_mapping("name: x\nsteps: [for p, keep I in buffer]\nbody: [O on pes]\n")
    sentence = r"^how many elements several reads by an index of several strides touch can be told of numbers only; .*"
    with pytest.raises(MappingError, match=sentence):
        estimate(workload, machine(), mapping, symbolic_values(workload, mapping))


def test_a_stride_that_may_be_that_of_the_tiles() -> None:
    """X[3*k1 + k0] numbers the elements of tiles of 3, and no others."""
    text = (
        "rank K0, K\nrank K1 = K / K0\nrank W = 3*K1 + K0\ninput G[k:K], X[w:W]\nBG[k1, k0] = G[k1*K0 + k0]\n"
        "Z[k1] = sum[k0](BG[k1, k0] * X[3*k1 + k0])\noutput Z"
    )
    workload, mapping = Workload(parse(text)), parse_mapping("name: plain\nsteps: [for k1]\nbody: [Z on pes]\n")
    sentence = (
        r"^the stride of an index and the size of its tile must be known to be equal or not, but are 3 and K0; "
        r"give a number for K0$"
    )
    with pytest.raises(MappingError, match=sentence):
        estimate(workload, machine(), mapping, symbolic_values(workload, mapping))
    for tile in (3, 4):
        known = estimate(workload, machine(), mapping, symbolic_values(workload, mapping, {"K0": tile}))
        alone = estimate(workload, machine(), mapping, with_derived(workload, {"K0": tile, "K": 10}))
        assert evaluate(known.traffic_bytes["dram"], {"K": 10}) == alone.traffic_bytes["dram"]
