"""Compare our energy, actions and cycles with AccelForge's on the mappings it finds: `make peers-accelforge`.

Prints tables as Markdown, and fails if any two numbers differ.
"""

import json
import subprocess
import sys
from pathlib import Path

from simple_machine import LEVELS, WORD_BITS, estimated_simple

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / "build/peers-accelforge/bin/python"
# M, K = N, energy of a bit in DRAM (1 in the buffer), bits of the buffer.
CASES = (
    (64, 64, 10, 65536 * 8),
    (1024, 1024, 10, 65536 * 8),
    (64, 64, 10, 2048 * 8),
    (96, 640, 10, 16384 * 8),
    (100, 36, 4, 1024 * 8),
    (64, 64, 1, "inf"),
)


def mapped():
    done = subprocess.run(
        [PYTHON, HERE / "run_accelforge.py"], input=json.dumps(CASES), capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"AccelForge failed with code {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout)


def moved_bits(found, level):
    """Bits read and written at a level, by tensor."""
    return {
        (tensor, kind): amount * WORD_BITS
        for (at, tensor), entry in found.accesses.items()
        for kind, amount in (("read", entry.read), ("write", entry.written))
        if at == level and amount
    }


def main() -> int:
    """Return 1 if there is a difference."""
    is_equal = True
    print("| M x K x N | DRAM, buffer | what | AccelForge | ours |\n|---|---|---|---|---|")
    results = mapped()
    for (m, kn, energy, bits), theirs in zip(CASES, results, strict=True):
        ours = estimated_simple(m, kn, energy, None if bits == "inf" else bits, theirs["steps"])
        rows = [
            ("energy", theirs["energy"], ours.energy_pj),
            ("cycles", theirs["cycles"], ours.cycles),
        ]
        for name, level in LEVELS.items():
            their = {(tensor, kind): count for at, tensor, kind, count in theirs["actions"] if at == name and count}
            own = moved_bits(ours, level)
            for key in sorted(their | own):
                rows.append((f"{level}: bits of {' '.join(key)}", their.get(key, 0), own.get(key, 0)))
        case = f"{m} x {kn} x {kn}"
        machine = f"{energy}, " + ("unlimited" if bits == "inf" else f"{bits // 8192} KiB")
        for what, their, own in rows:
            is_equal &= their == own
            print(f"| {case} | {machine} | {what} | {their:,} | {own:,.0f} |")
            case = machine = ""
    for (m, kn, *_), theirs in zip(CASES, results, strict=True):
        print(f"\n{m} x {kn} x {kn}:")
        print("\n".join("    " + " ".join(map(str, step)) for step in theirs["steps"]))
    print("\nall equal" if is_equal else "\nNOT EQUAL")
    return 0 if is_equal else 1


if __name__ == "__main__":
    sys.exit(main())
