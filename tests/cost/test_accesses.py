"""Accesses of loop nests: by hand on small cases, and against a walk that runs the loops."""

from collections import Counter

import numpy as np
import pytest
from loop_walk import walk_mapping
from random_counts import random_count
from random_mappings import CASES, random_architecture, random_extents, random_mapping

from einsum_cascade import parse
from einsum_cascade.cost.accesses import count_accesses
from einsum_cascade.mapping.sites import sites_of
from einsum_cascade.mapping.workload import Workload


def counted(case, mapping, architecture, extents):
    workload = Workload(parse(case.text))
    table = count_accesses(workload, architecture, sites_of(workload, architecture, mapping), extents)
    kinds = ("fills", "reads", "updates", "drains")
    found = {(*key, kind): int(getattr(entry, kind)) for key, entry in table.items() for kind in kinds}
    return Counter({key: count for key, count in found.items() if count})


def shared_axes(architecture, kind):
    (engine,) = architecture.engines
    wanted = {"reduce"} if kind == "write" else {"broadcast", "shift"}
    axes = {"rows": engine.along_columns, "columns": engine.along_rows}
    return {axis for axis, links in axes.items() if links & wanted}


@pytest.mark.parametrize("name", CASES)
def test_counts_equal_those_of_a_walk(name: str, seed: int) -> None:
    """Ragged tiles, halos, tails, multicast and spatial reduction included: equal, not close."""
    case = CASES[name]
    for number in range(random_count(350)):
        rng = np.random.default_rng([seed, number])
        extents = random_extents(rng, case)
        architecture = random_architecture(rng)
        mapping = random_mapping(rng, case, extents)
        links = {kind: shared_axes(architecture, kind) for kind in ("read", "write")}
        tails = ((case.tail[0], case.tail[1], extents[case.tail[2]]),) if case.tail else ()
        tasks = case.tasks
        if case.tail:
            tasks = with_strides(tasks, extents)
        walked = walk_mapping(mapping.root, tasks, extents, tails=tails, homes=case.homes, home="dram", links=links)
        found = counted(case, mapping, architecture, extents)
        assert found == walked, (
            f"case {number} of seed {seed}: {extents}\n{mapping}\n{found - walked}\n{walked - found}"
        )


def with_strides(tasks, extents):
    """Give `k1x` the stride that it has in `k1*K0 + k0`."""
    from loop_walk import Reference

    def own(reference):
        terms = tuple(
            tuple(("k1", extents["K0"]) if name == "k1x" else (name, stride) for name, stride in dim)
            for dim in reference.terms
        )
        return Reference(reference.tensor, terms)

    return {
        name: {**task, "reads": [own(r) for r in task["reads"]], "write": own(task["write"])}
        for name, task in tasks.items()
    }
