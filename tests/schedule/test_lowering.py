"""From a mapping to operations: durations, dependences, distances."""

from dataclasses import replace
from fractions import Fraction

from einsum_cascade import resolve_extents, zoo
from einsum_cascade.arch.presets import load_architecture
from einsum_cascade.mapper.planning import plan_mapping
from einsum_cascade.mapping.merging import merge_products, without_tasks
from einsum_cascade.mapping.presets import load_mapping
from einsum_cascade.mapping.workload import Workload
from einsum_cascade.schedule.lockstep import lockstep_schedule
from einsum_cascade.schedule.lowering import tile_graphs
from einsum_cascade.schedule.modulo import modulo_schedule
from einsum_cascade.schedule.replay import check_schedule
from einsum_cascade.schedule.whole import tile_time


def binding(tokens: int):
    workload = Workload(zoo.load("attention-1pass"))
    extents = resolve_extents(workload.cascade, {"E": 64, "F": 64, "M": tokens, "P": tokens, "M0": 256})
    plan = plan_mapping(workload, load_architecture("fusemax-cloud"), [load_mapping("binding")], extents)
    return workload, plan


def graph_of(tokens: int):
    workload, plan = binding(tokens)
    (tile,) = tile_graphs(workload, plan.estimate.architecture, plan.mapping.root, plan.estimate.bounds, plan.values)
    return tile


def test_durations_of_fusemax() -> None:
    """FuseMax (arXiv 2406.10491), cycles of a tile of 256 x 256; AV is done once for 4 tiles of keys."""
    wanted = {"BQK": 64, "LM": 1, "SLN": 7, "SLD": 1, "SLNV": 64}
    wanted |= {"RM": 1, "PRM": 7, "SPD": 1, "SPNV": 64, "RD": 1, "RNV": 64, "AV": 16}
    tile = graph_of(1024)
    assert {operation.name: operation.duration for operation in tile.graph.operations} == wanted
    assert tile.tiles == 16
    assert graph_of(65536).graph.operation["AV"].duration == Fraction(64, 256)


def test_state_comes_from_the_tile_of_keys_before() -> None:
    """Four columns of queries go by between two tiles of keys, so a generation is four tiles old when it is read."""
    distances = {(d.producer, d.consumer): d.distance for d in graph_of(1024).graph.dependences if d.distance}
    assert distances == {("RM", "RM"): 4, ("RM", "PRM"): 4, ("RD", "SPD"): 4, ("RNV", "SPNV"): 4}


def test_schedules_agree_with_the_time_of_the_whole() -> None:
    """Interval times tiles is the time that the mapping takes in the steady state, and the checker finds no fault."""
    _, plan = binding(1024)
    tile = graph_of(1024)
    found, staged = modulo_schedule(tile.graph), lockstep_schedule(replace(tile.graph, contexts=()), tile.stages)
    assert check_schedule(tile.graph, found) == ()
    (fill,) = plan.estimate.fills.values()
    assert found.interval * tile.tiles == staged.interval * tile.tiles == plan.estimate.cycles - fill == 154 * 16
    assert tile_time(tile).cycles == staged.cycles(tile.tiles) == plan.estimate.cycles


def test_contexts_limit_the_tiles_in_flight() -> None:
    """With one context, the next tile begins when the last product of this one is done: 137 cycles, and 1 for RM."""
    workload, plan = binding(1024)
    machine = plan.estimate.architecture
    engines = tuple(replace(engine, contexts=1 if engine.rows > 1 else None) for engine in machine.engines)
    one = replace(machine, engines=engines)
    (tile,) = tile_graphs(workload, one, plan.mapping.root, plan.estimate.bounds, plan.values)
    found = modulo_schedule(tile.graph)
    assert check_schedule(tile.graph, found) == ()
    # the tile's 137 cycles on the 2D array and the one in which RM is made; the 1D array's 154 are more
    assert found.interval == 154
    merged = replace(tile.graph, operations=tuple(_without_products(o) for o in tile.graph.operations))
    assert modulo_schedule(merged).interval == 138
    free = replace(merged, contexts=())
    assert modulo_schedule(free).interval == 137


def test_a_pipelined_multiply_add_makes_chains() -> None:
    """Four stages: steps of a product and of an exponential are 4 apart, others follow one another; no slot is lost."""
    cascade, mapping = merge_products(zoo.load("attention-1pass")), load_mapping("array")
    gone = frozenset({"SPD", "SPNV"})
    workload, machine = Workload(cascade), load_architecture("fusemax-16x16-4stages")
    extents = resolve_extents(cascade, {"E": 64, "F": 64, "M": 1024, "P": 64, "M0": 16})
    plan = plan_mapping(workload, machine, [without_tasks(mapping, gone)], extents)
    (tile,) = tile_graphs(workload, machine, plan.mapping.root, plan.estimate.bounds, plan.values)
    chains = {o.name: (o.slots, o.spacing) for o in tile.graph.operations if o.is_chain}
    assert chains == {"BQK": (64, 4), "SLN": (7, 4), "SLNV": (64, 1), "PRM": (7, 4), "RNV": (64, 1)}
    edges = {(d.producer, d.consumer): (d.latency, d.kind) for d in tile.graph.dependences}
    assert edges["BQK", "LM"] == edges["SLN", "SLNV"] == edges["PRM", "RNV"] == (3, "finish")
    assert edges["SLNV", "RNV"] == edges["RNV", "RNV"] == (4, "stream")
    assert edges["LM", "RM"] == (0, "finish")
    found = modulo_schedule(tile.graph)
    assert check_schedule(tile.graph, found) == ()
    assert (found.interval, found.proof) == (137, "bound")


def _without_products(operation):
    """Make the 1D array idle for the most part, so that the 2D array and its contexts decide."""
    return replace(operation, duration=1) if operation.name in ("SPNV", "RNV", "AV", "SPD", "RD") else operation


def test_a_stage_waits_for_the_pipeline() -> None:
    """Four stages of a multiply-add: 64 steps of a product 4 apart, and 4 cycles for the last; others end 3 later."""
    cascade = zoo.load("attention-1pass")
    workload, machine = Workload(cascade), load_architecture("fusemax-16x16-4stages")
    extents = resolve_extents(cascade, {"E": 64, "F": 64, "M": 1024, "P": 64, "M0": 16})
    plan = plan_mapping(workload, machine, [load_mapping("binding")], extents)
    (tile,) = tile_graphs(workload, machine, plan.mapping.root, plan.estimate.bounds, plan.values)
    cycles = {operation.name: operation.duration for operation in tile.graph.operations}
    assert (cycles["BQK"], cycles["LM"], cycles["SLNV"]) == (63 * 4 + 4, 1, 63 + 4)
    assert not any(operation.is_chain for operation in tile.graph.operations)
    assert plan.estimate.cycles == tile_time(tile).cycles
