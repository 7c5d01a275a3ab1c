"""Map matrix products with AccelForge: started in its own environment, it reads and writes lists as JSON.

It imports nothing of ours. What comes out is the mapping that its mapper finds, and what its model says of that.
"""

import contextlib
import json
import sys

import accelforge
from accelforge.frontend.mapping import Storage, Temporal
from accelforge.mapper.FFM.main import map_workload_to_arch
from accelforge.model.main import evaluate_mapping

SEPARATOR = "<SEP>"


def mapped(m: int, kn: int, dram_energy: float, buffer_bits: float):
    """Return the steps, the actions by level, tensor and kind in bits, the energy and the cycles."""
    spec = accelforge.Spec.from_yaml(
        accelforge.examples.arches.simple,
        accelforge.examples.workloads.matmuls,
        jinja_parse_data={
            "N_EINSUMS": 1,
            "M": m,
            "KN": kn,
            "MainMemoryEnergy": dram_energy,
            "GlobalBufferSize": buffer_bits,
        },
    )
    # Its own evaluation in detail draws the mapping, for which it wants Graphviz; these are the same steps without.
    found = map_workload_to_arch(spec, eval_in_detail=False, print_progress=False)
    spec.model.metrics = spec.mapper.info_metrics
    spec.mapping = found.data.iloc[0][f"Total{SEPARATOR}mapping"](_for_model=True)
    result = evaluate_mapping(
        spec, flattened_arches=found.flattened_arches, evaluated_specs=found.evaluated_specs
    ).data.iloc[0]
    actions = [(*name.split(SEPARATOR)[2:], int(result[name])) for name in result.index if f"{SEPARATOR}action" in name]
    return {
        "steps": [step for node in spec.mapping.nodes for step in steps_of(node)],
        "actions": [action for action in actions if action[0] != "MAC"],
        "energy": int(result[f"Total{SEPARATOR}energy"]),
        "cycles": int(result[f"Total{SEPARATOR}latency"]),
    }


def steps_of(node):
    """Loops and storage; where room is reserved follows from them."""
    if isinstance(node, Temporal):
        yield "loop", str(node.rank_variable), int(node.tile_shape)
    elif isinstance(node, Storage):
        yield "keep", node.component, sorted(str(tensor) for tensor in node.tensors)


def main() -> None:
    cases = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):
        found = [mapped(*(float(x) if isinstance(x, str) else x for x in case)) for case in cases]
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
