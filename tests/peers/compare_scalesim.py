"""Compare our cycles of matrix products with those of scalesim: `make peers-scalesim` runs this.

Prints a table of some of the products as Markdown, and fails if any two numbers differ.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from matrix_products import estimated, random_product
from random_counts import draw_seed

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / "build/peers-scalesim/bin/python"
DATAFLOWS = {"output": "os", "weights": "ws", "inputs": "is"}
PRODUCTS = 60
SHOWN = 6


def products(seed: int):
    """The case of the literature, then random ones: half of them small, half of some tiles."""
    yield 32, 32, dict.fromkeys("MNK", 128)
    for number in range(1, PRODUCTS):
        yield random_product(np.random.default_rng([seed, 62, number]), *((12, 40) if number % 2 else (40, 160)))


def simulated(cases) -> list[int]:
    done = subprocess.run(
        [PYTHON, HERE / "run_scalesim.py"], input=json.dumps(cases), capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"scalesim failed with code {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout)


def main() -> int:
    """Return 1 if there is a difference."""
    seed = draw_seed()
    cases = [(rows, columns, name, extents) for rows, columns, extents in products(seed) for name in DATAFLOWS]
    theirs = simulated([(rows, columns, DATAFLOWS[name], extents) for rows, columns, name, extents in cases])
    ours = [int(estimated(*case).cycles) for case in cases]
    print("| array | M x N x K | stationary | scalesim | ours | ours - scalesim |\n|---|---|---|---|---|---|")
    for (rows, columns, name, extents), their, own in list(zip(cases, theirs, ours, strict=True))[: 3 * SHOWN]:
        product = " x ".join(str(extents[rank]) for rank in "MNK")
        print(f"| {rows} x {columns} | {product} | {name} | {their:,} | {own:,} | {own - their} |")
    agreeing = sum(own - 1 == their for own, their in zip(ours, theirs, strict=True))
    print(f"\n{PRODUCTS} products, {len(cases)} runs, seed {seed}: ours is one more in {agreeing}.")
    return 0 if agreeing == len(cases) else 1


if __name__ == "__main__":
    sys.exit(main())
