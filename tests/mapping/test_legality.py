"""What a mapping must keep to: by hand on small cases, and against runs of small cascades point by point."""

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
from dependent_runs import CHAINS, random_chain, runs_well
from placed_sentences import is_placed
from random_counts import random_count
from random_mappings import CASES, random_architecture, random_extents, random_mapping

from einsum_cascade import load_architecture, parse
from einsum_cascade.arch.ir import Architecture, Engine, Memory, Operation, RegisterFile
from einsum_cascade.cost.estimate import estimate
from einsum_cascade.errors import IllegalMappingError, MappingError
from einsum_cascade.mapper.planning import plan_mapping
from einsum_cascade.mapping.codec import parse_mapping
from einsum_cascade.mapping.ir import NOWHERE, Block, Compute, Keep, Loop, paths
from einsum_cascade.mapping.legality import check_mapping, diagnostics, violations
from einsum_cascade.mapping.presets import load_mapping
from einsum_cascade.mapping.workload import Workload
from einsum_cascade.zoo import load

MATMUL = "rank M, N, K\ninput A[m:M, k:K], B[k:K, n:N]\nZ[m, n] = A[m, k] * B[k, n]\noutput Z"
TILED = (
    "rank M, N, M0\nrank M1 = M / M0\ninput X[m:M, n:N]\nBX[m1, m0, n] = X[m1*M0 + m0, n]\n"
    "L[m1, n] = max[m0](BX[m1, m0, n])\nD[m1, m0, n] = BX[m1, m0, n] - L[m1, n]\noutput D"
)


def machine(*names: str) -> Architecture:
    """A DRAM, a buffer, and the engines `pes`, which can do some operations, and `all`, which can do everything."""
    rate = {"read_bytes_per_s": None, "write_bytes_per_s": None, "is_shared": False, "instances": 1}
    levels = tuple(Memory(name, None, 16, **rate, read_pj=1.0, write_pj=1.0) for name in ("dram", "buffer"))
    registers = RegisterFile(64, 16, 1.0, 1.0, 0.0)
    every = ("mac", "+", "-", "*", "/", "max", "exp")

    def engine(name: str, operations: tuple[str, ...]) -> Engine:
        able = tuple(Operation(own, 1, 1, ()) for own in operations)
        return Engine(name, 8, 8, able, registers, None, frozenset(), frozenset())

    return Architecture("small", 10**9, 16, levels, (engine("pes", names or every), engine("all", every)), ())


def told(cascade: str, body: str, extents: dict[str, int] | None = None, architecture: Architecture | None = None):
    return violations(Workload(parse(cascade)), architecture or machine(), parse_mapping("name: x\n" + body), extents)


def test_a_plain_mapping_is_legal() -> None:
    text = "steps: [for m by 4, keep A in buffer, for n by 2 on rows, keep Z in pes, for k]\ncompute: Z on pes\n"
    assert told(MATMUL, text) == ()


REFUSED = [
    # Names and values.
    (
        MATMUL,
        "body: [Y on pes, Z on pe, Z on pes]",
        "Einsum 'Y' must be one of the cascade; known are 'Z'",
        "Einsum 'Z' must be bound once, but is bound 2 times; remove all but one",
        "engine 'pe' of Einsum 'Z' must be one of the architecture; did you mean 'pes'?",
    ),
    (
        TILED,
        "body: [BX on pes, L on pes]",
        "Einsum 'D' must be bound to an engine, but is nowhere in the mapping; add it to a body",
        "Einsum 'BX' must not be bound, because it only renames coordinates; remove it",
    ),
    (
        MATMUL,
        "steps: [for q, for m by TM*MM, keep A in bufer, keep AA B in buffer x0]\ncompute: Z on pes\nstage: -1",
        "the stage of Einsum 'Z' must be at least 1, or 0 for none, not -1",
        "the rank variable 'q' of 'for q' must be one of the cascade; known are 'k', 'm', 'n'",
        "the tile of 'for m by MM*TM' must be made of ranks and parameters, unlike 'MM'; did you mean 'M'?",
        "the tile of 'for m by MM*TM' must be made of ranks and parameters, unlike 'TM'; did you mean 'M'?",
        "the level 'bufer' of 'keep A in bufer' must be one of the architecture; did you mean 'buffer'?",
        "'keep AA, B in buffer x0' must keep at least 1 copy, not 0",
        "'keep AA, B in buffer x0' must name tensors of the cascade, unlike 'AA'; did you mean 'A'?",
    ),
    (
        MATMUL,
        "parameters: {M: 3, T: 0}\nwords: {C: 8 b}\nsteps: [for m by T, keep A A in buffer]\ncompute: Z on pes",
        "parameter 'M' must have a name of its own, but a rank is called so; rename it",
        "word_bits must name tensors of the cascade, unlike 'C'; known are 'A', 'B', 'Z'",
        "the tile of 'for m by T' must be at least 1 coordinate, not 0",
        "'keep A, A in buffer' must name tensor 'A' once, but names it 2 times",
        "tensor 'A' must be kept in 'buffer' once on the way to 'Z'; remove it from one 'keep A, A in buffer'",
    ),
    (
        TILED,
        "steps: [keep BX L in buffer]\nbody: [L on pes, D on pes]",
        "'keep BX, L in buffer' must not name 'BX', because it only renames the coordinates of 'X'; name that",
    ),
    # Nests.
    (
        TILED,
        "steps: [keep L in buffer, for m1, for m0]\nbody: [L on pes, {steps: [keep X in buffer, for m1], "
        "compute: D on pes}]",
        "loop 'for m0' must be around one pass, but is around 2: 'L' in pass 1, 'D' in pass 2; L[m1, n] needs every "
        "BX[m1, m0, n] before the first D[m1, m0, n]: pass 2 begins; end the loop before that",
    ),
    (
        TILED,
        "steps: [keep L in buffer, for m0 by 2, for m1]\nbody: [L on pes, {steps: [for m1 by 3], compute: D on pes}]",
        "loop 'for m0 by 2' around 'L' must stand inside 'for m1', because 'm0' counts within one tile of M; move it "
        "inwards",
        "the tile of 'for m1 by 3' must not be larger than that of 'for m1' around it; make one of them smaller",
        "loop 'for m0 by 2' around 'D' must stand inside 'for m1', because 'm0' counts within one tile of M; move it "
        "inwards",
        "loop 'for m0 by 2' must be around one pass, but is around 2: 'L' in pass 1, 'D' in pass 2; L[m1, n] needs "
        "every BX[m1, m0, n] before the first D[m1, m0, n]: pass 2 begins; end the loop before that",
    ),
    (
        MATMUL,
        "steps: [keep B in pes, keep A in dram, keep B in buffer, for m on rows, keep Z in buffer, keep Z in buffer]\n"
        "compute: Z on pes",
        "tensor 'A' must be kept in 'dram' once on the way to 'Z'; remove it from 'keep A in dram', because it is at "
        "home there",
        "tensor 'B' must be kept in outer levels first, but is in 'pes' already where 'keep B in buffer' stands; "
        "exchange the two",
        "tensor 'Z' must be kept in 'buffer' once on the way to 'Z'; remove it from one 'keep Z in buffer'",
        "'keep Z in buffer' must stand above 'for m on rows', because there is one 'buffer' for all PEs; move it "
        "outwards",
    ),
    (
        CHAINS["products"].text,
        "steps: [for f, keep S in buffer]\nbody: [S on pes, {steps: [keep Q V in pes], compute: T on pes}]",
        "loop 'for f' must only be around Einsums with the rank variable 'f', unlike 'S', which it would compute again "
        "and again; move them out",
        "'keep Q, V in pes' must be above an Einsum that reads or writes 'Q'; remove what is not used",
    ),
    # Between a writer and a reader.
    (
        "rank M, P\ninput X[m:M, p:P], Y[m:M, p:P]\nG[p] = sum[m](X[m, p])\nN[m, p] = Y[m, p] * G[p]\noutput N",
        "steps: [keep G in buffer, for m by 2]\nbody: [G on pes, N on pes]",
        "Einsum 'N' must not read 'G' inside 'for m by 2', where 'G' is still reduced over 'm'; move it behind the "
        "loop",
    ),
    (
        CHAINS["products"].text,
        "steps: [for p by 4]\nbody: [{steps: [keep S in buffer], compute: S on pes}, T on pes]",
        "tensor 'S' must be kept above all Einsums that write and read it, but nothing is kept around 'S' and 'T' "
        "together; keep it further out",
    ),
    (
        CHAINS["products"].text,
        "steps: [keep S in buffer, for p]\nbody: [T on pes, S on pes]",
        "Einsum 'T' must come after 'S', because it reads S[m, p]; exchange them",
    ),
    (
        CHAINS["shifts"].text,
        "steps: [keep Y in buffer, for i]\nbody: [Y on pes, B on pes, A on pes]",
        "Einsum 'A' must read inside 'for i' what 'Y' has written, but reads Y[i + 1, p] where Y[i, p] is written; "
        "move one of them out of the loop",
    ),
    (
        CHAINS["shifts"].text,
        "steps: [for i]\nbody: [{steps: [keep Y in buffer], body: [Y on pes, B on pes]}, A on pes]",
        "Einsum 'A' must read inside 'for i' what 'Y' has written, but reads Y[i + 1, p] where Y[i, p] is written; "
        "move one of them out of the loop",
        "tensor 'Y' must be kept above 'for i', because what one iteration writes is read in a later one by 'B'; keep "
        "it further out",
    ),
    (
        CHAINS["alias"].text,
        "steps: [keep Y in buffer, for i by 2]\nbody: [Y on pes, Z on pes]",
        "Einsum 'Z' must read inside 'for i by 2' what 'Y' has written, but reads Y[j, i] where Y[i, j] is written; "
        "move one of them out of the loop",
    ),
    (
        CHAINS["running"].text,
        "steps: [keep R in buffer]\nbody: [{steps: [for i on rows], body: [R on pes, D on pes]}, O on pes]",
        "'for i on rows' must not be spread over PEs, because 'R' reads R[i, p], which another iteration writes as "
        "R[i + 1, p]; loop in time",
        "'for i on rows' must not be spread over PEs, because 'D' reads R[i, p], which another iteration writes as "
        "R[i + 1, p]; loop in time",
    ),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case[2][:40])
def test_what_is_wrong_is_told_in_sentences(case: tuple[str, ...]) -> None:
    cascade, body, *sentences = case
    assert list(told(cascade, body)) == sentences
    placed = diagnostics(Workload(parse(cascade)), machine(), parse_mapping("name: x\n" + body, "own.yaml"))
    assert [str(each) for each in placed if not is_placed(each)] == []


@pytest.mark.parametrize("inner", ["dram", "buffer", "pes", "all"])
@pytest.mark.parametrize("outer", ["dram", "buffer", "pes", "all"])
def test_levels_nest_inwards(outer: str, inner: str) -> None:
    """A tensor goes from the DRAM over the buffer to the registers of one engine: no level holds it for its equal."""
    depth = {"dram": 0, "buffer": 1, "pes": 2, "all": 2}
    held = ["dram", outer, inner]
    wanted = all(depth[one] < depth[other] for one, other in itertools.pairwise(held))
    found = told(MATMUL, f"steps: [keep A in {outer}, for m by 2, keep A in {inner}]\ncompute: Z on all")
    assert (found == ()) is wanted, found


def test_an_engine_must_be_able() -> None:
    text = "body: [{steps: [keep S G N in buffer], body: [S on pes, G on pes, N on pes, D on pes]}]"
    assert told(CHAINS["barrier"].text, text, architecture=machine("mac", "max", "+")) == (
        "engine 'pes' must be able to do 'exp' for Einsum 'N', but can do 'mac', 'max' and '+' only; bind it to 'all'",
    )


def test_no_overhead_is_below_0() -> None:
    """Known without extents, known with them, and only once a rule has given a parameter its value."""
    workload, body = Workload(parse(MATMUL)), "compute: Z on pes\noverhead_cycles: "
    sentence = "the overhead of Einsum 'Z' must be at least 0 cycles, not {}; leave it out where none is"
    assert told(MATMUL, body + "-3") == (sentence.format(-3),)
    assert told(MATMUL, body + "M - 4") == ()
    assert told(MATMUL, body + "M - 4", {"M": 4, "N": 1, "K": 1}) == ()
    assert told(MATMUL, body + "M - 4", {"M": 3, "N": 1, "K": 1}) == (sentence.format(-1),)
    ruled = parse_mapping("name: x\nparameters: {W: rows of pes}\n" + body + "M - W")
    extents = {"M": 4, "N": 1, "K": 1}
    assert violations(workload, machine(), ruled, extents) == ()
    reason = re.escape("must be at least 0 cycles, not -4, as M - W is with these extents and parameters; give others")
    with pytest.raises(MappingError, match=f"^the overhead of Einsum 'Z' {reason}$"):
        plan_mapping(workload, machine(), [ruled], extents)
    with pytest.raises(MappingError, match="not -2, as "):
        estimate(workload, machine(), ruled, extents | {"W": np.array([1, 6, 3])})


def test_a_division_by_zero_is_told_for_the_extents_that_make_it() -> None:
    text = "steps: [for m by M/(N - 2)]\ncompute: Z on pes"
    assert told(MATMUL, text, {"M": 4, "N": 3, "K": 2}) == ()
    assert told(MATMUL, text, {"M": 4, "N": 2, "K": 2}) == (
        "the tile of 'for m by M/(N - 2)' must not be divided by 0; give other extents or parameters",
    )


THREE_PASSES = """
steps: [for p, keep QK GM SN SD A in buffer]
body:
  - {steps: [for m by 16], body: [QK on pes, SN on pes]}
  - GM on pes
  - SD on pes
  - A on pes
  - AV on pes
"""


def test_fusing_across_a_pass_boundary_is_refused_with_the_witness() -> None:
    """FuseMax (arXiv 2406.10491), Sec. III: the maximum over m ends the first pass over the scores."""
    mapping = parse_mapping("name: x" + THREE_PASSES, "own.yaml")
    workload = Workload(load("attention"))
    refused, order = violations(workload, machine(), mapping)
    assert refused == (
        "loop 'for m by 16' must be around one pass, but is around 2: 'QK' in pass 1, 'SN' in pass 2; GM[p] needs "
        "every QK[m, p] before the first SN[m, p]: pass 2 begins; end the loop before that"
    )
    assert order == "Einsum 'SN' must come after 'GM', because it reads GM[p]; exchange them"
    with pytest.raises(IllegalMappingError) as raised:
        check_mapping(workload, machine(), mapping)
    assert raised.value.violations == (refused, order)
    assert str(raised.value).splitlines() == [
        f"own.yaml:4:14: {refused}",
        "      - {steps: [for m by 16], body: [QK on pes, SN on pes]}",
        "                 ^^^^^^^^^^^",
        f"own.yaml:4:46: {order}",
        "      - {steps: [for m by 16], body: [QK on pes, SN on pes]}",
        "                                                 ^^^^^^^^^",
    ]
    # What was not read from a file has no place.
    bare = replace(mapping, root=without_places(mapping.root), span=NOWHERE)
    with pytest.raises(IllegalMappingError) as raised:
        check_mapping(workload, machine(), bare)
    assert str(raised.value) == f"{refused}\n{order}"


def without_places(node: Block | Compute) -> Block | Compute:
    if isinstance(node, Compute):
        return replace(node, span=NOWHERE)
    steps = tuple(replace(step, span=NOWHERE) for step in node.steps)
    return replace(node, steps=steps, body=tuple(map(without_places, node.body)), span=NOWHERE)


def test_all_three_passes_are_named() -> None:
    names = [task.name for task in Workload(load("attention")).tasks]
    text = f"name: x\nsteps: [keep QK GM SN SD A in buffer, for m]\nbody: [{', '.join(f'{n} on pes' for n in names)}]"
    mapping = parse_mapping(text)
    (refused,) = violations(Workload(load("attention")), machine(), mapping)
    assert "'QK' and 'GM' in pass 1, 'SN' and 'SD' in pass 2, 'A' and 'AV' in pass 3" in refused
    assert "SD[p] needs every SN[m, p] before the first A[m, p]: pass 3 begins" in refused
    # A loop of one iteration ends no later than it begins; a loop that may have two is a loop.
    extents = {"E": 4, "F": 4, "M": 1, "P": 4}
    assert violations(Workload(load("attention")), machine(), mapping, extents) == ()
    assert violations(Workload(load("attention")), machine(), mapping, {**extents, "M": 2}) == (refused,)


def one_pass(body: str) -> tuple[str, ...]:
    workload = Workload(load("attention-1pass"))
    inner = [task.name for task in workload.tasks if task.name != "AV"]
    names = {"NAMES": " ".join(inner), "BODY": ", ".join(f"{name} on pes" for name in inner)}
    for key, value in names.items():
        body = body.replace(key, value)
    return violations(workload, machine(), parse_mapping(f"name: x\n{body}"))


def test_running_maxima_let_one_loop_be_around_everything() -> None:
    """The 1-pass cascade fused over the tiles of m; what runs from tile to tile is kept above them."""
    text = "steps: [for p by 4, keep NAMES in buffer]\nbody: [{steps: [for m1], body: [BODY]}, AV on pes]"
    assert one_pass(text) == ()


def test_running_values_must_outlive_an_iteration() -> None:
    text = (
        "steps: [for p by 4, keep RD RNV in buffer]\nbody: [{steps: [for m1, keep LM RM BQK SLN SLD SLNV PRM SPD SPNV "
    )
    text += "in buffer], body: [BODY]}, AV on pes]"
    assert one_pass(text) == (
        "tensor 'RM' must be kept above 'for m1', because what one iteration writes is read in a later one by 'RM' and "
        "'PRM'; keep it further out",
    )


def test_a_tile_is_read_twice_by_the_one_pass_cascade() -> None:
    """Within a tile, its maximum ends a pass over m0."""
    text = "steps: [for p by 4, keep NAMES in buffer]\nbody: [{steps: [for m1], body: [{steps: [for m0], body: "
    text += (
        "[BQK on pes, LM on pes, SLN on pes]}, RM on pes, SLD on pes, SLNV on pes, PRM on pes, SPD on pes, RD on pes, "
    )
    text += "SPNV on pes, RNV on pes]}, AV on pes]"
    refused, order = one_pass(text)
    assert "LM[m1, p] needs every BQK[m1, m0, p] (through RM) before the first SLN[m1, m0, p]: pass 2 begins" in refused
    assert order == "Einsum 'SLN' must come after 'RM', because it reads RM[m1 + 1, p]; exchange them"


def test_rows_of_self_attention_are_fused_though_they_share_their_rank_with_keys() -> None:
    """Queries and keys are of one input; a loop over the queries' alias is around one pass over the queries."""
    workload = Workload(load("attention-self"))
    names = [task.name for task in workload.tasks]
    outside = [name for name in names if "p" not in workload.task[name].variables]
    inside = [name for name in names if name not in outside]
    kept = " ".join(name for name in names if name not in workload.homes_outside)
    text = f"name: x\nsteps: [keep {kept} in buffer]\nbody: [{', '.join(f'{n} on pes' for n in outside)}"
    text += f"{', ' if outside else ''}{{steps: [for p], body: [{', '.join(f'{n} on pes' for n in inside)}]}}]"
    assert violations(workload, machine(), parse_mapping(text)) == ()
    *_, refused = violations(workload, machine(), parse_mapping(text.replace("for p", "for p by 2, for m")))
    assert "must be around one pass, but is around 3" in refused


@pytest.mark.parametrize("name", CHAINS)
def test_what_is_legal_runs_well_and_nothing_else_does(name: str, seed: int) -> None:
    chain = CHAINS[name]
    workload = Workload(parse(chain.text))
    outcomes = set()
    for number in range(random_count(2000)):
        rng = np.random.default_rng([seed, number])
        extents = {rank: int(rng.integers(1, 5)) for rank in chain.ranks.values()}
        if name == "alias":
            extents["J"] = extents["I"]
        mapping = random_chain(rng, chain, extents)
        found = violations(workload, machine(), mapping, extents)
        well = runs_well(chain, mapping, extents)
        outcomes.add(well)
        assert (found == ()) == well, f"case {number} of seed {seed}: {extents}\n{mapping.root}\n{found}"
    assert outcomes == {True, False}


@pytest.mark.parametrize("name", CASES)
def test_random_mappings_break_one_rule_only_and_truly(name: str, seed: int) -> None:
    """They put memories of one instance inside spatial loops at will; all else they keep to."""
    case = CASES[name]
    workload = Workload(parse(case.text))
    for number in range(random_count(500)):
        rng = np.random.default_rng([seed, number])
        extents = random_extents(rng, case)
        architecture, mapping = random_architecture(rng), random_mapping(rng, case, extents)
        wanted = set()
        for steps, _ in paths(mapping.root):
            spatial = [at for at, step in enumerate(steps) if isinstance(step, Loop) and step.axis]
            for at, step in enumerate(steps):
                if isinstance(step, Keep) and step.level == "buffer" and spatial and spatial[0] < at:
                    wanted.add(
                        f"'{step}' must stand above '{steps[spatial[0]]}', because there is one 'buffer' for all PEs; "
                        "move it outwards"
                    )
        assert set(violations(workload, architecture, mapping, extents)) == wanted, f"case {number} of seed {seed}"


@pytest.mark.parametrize("name", ["output-stationary", "weight-stationary"])
def test_presets_of_a_product_are_legal_for_all_extents(name: str) -> None:
    assert violations(Workload(parse(MATMUL)), load_architecture("systolic"), load_mapping(name)) == ()


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (
            "rows of pe",
            r"parameter 'T', the rows of pe, must be of an engine of the architecture, unlike 'pe'; .*",
        ),
        (
            "largest divisor of M that fits bufer",
            r"parameter 'T', the largest divisor of M that fits bufer, must be of a memory of .*, unlike 'bufer'; .*",
        ),
        (
            "largest divisor of M/S that fits buffer",
            r"parameter 'T', the .*, must be made of ranks and of parameters above it, unlike 'S'.*",
        ),
    ],
)
def test_rules_ask_for_what_there_is(rule: str, sentence: str) -> None:
    text = f"name: x\nparameters: {{T: {rule}, S: 2}}\nsteps: [for m by T]\nbody: [Z on pes]"
    found = violations(Workload(parse(MATMUL)), machine("mac"), parse_mapping(text))
    assert len(found) == 1
    assert re.fullmatch(sentence, found[0]), found
