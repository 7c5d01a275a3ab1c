"""Run matrix products through scalesim: started in its own environment, it reads and writes lists as JSON.

It imports nothing of ours. Cycles are those of its report, with a memory that never stalls the array.
"""

import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path

from scalesim.scale_sim import scalesim

CONFIGURATION = """\
[general]
run_name = product
[run_presets]
InterfaceBandwidth = CALC
UseRamulatorTrace = False
[architecture_presets]
ArrayHeight = {rows}
ArrayWidth = {columns}
IfmapSramSzkB = 4096
FilterSramSzkB = 4096
OfmapSramSzkB = 4096
IfmapOffset = 0
FilterOffset = 10000000
OfmapOffset = 20000000
Dataflow = {dataflow}
ReadRequestBuffer = 64
WriteRequestBuffer = 64
[layout]
IfmapCustomLayout = False
FilterCustomLayout = False
IfmapSRAMBankBandwidth = 10
IfmapSRAMBankNum = 10
IfmapSRAMBankPort = 2
FilterSRAMBankBandwidth = 10
FilterSRAMBankNum = 10
FilterSRAMBankPort = 2
[sparsity]
SparsitySupport = false
"""
LAYOUT = "name, " + ", ".join(["1"] * 20) + ",\n"


def cycles(folder: Path, rows: int, columns: int, dataflow: str, extents: dict[str, int]) -> int:
    """Return the cycles of one product, stalls among them if there were any."""
    configuration, topology, layout = folder / "array.cfg", folder / "product.csv", folder / "layout.csv"
    configuration.write_text(CONFIGURATION.format(rows=rows, columns=columns, dataflow=dataflow))
    topology.write_text("Layer, M, N, K,\nproduct, {M}, {N}, {K},\n".format(**extents))
    layout.write_text("header\n" + LAYOUT)
    with contextlib.redirect_stdout(io.StringIO()):
        simulation = scalesim(
            save_disk_space=True,
            verbose=False,
            config=str(configuration),
            topology=str(topology),
            layout=str(layout),
            input_type_gemm=True,
        )
        simulation.run_scale(top_path=str(folder))
    (report,) = folder.rglob("COMPUTE_REPORT.csv")
    _, row = report.read_text().splitlines()
    return int(row.split(",")[2])


def main() -> None:
    found = []
    for rows, columns, dataflow, extents in json.load(sys.stdin):
        with tempfile.TemporaryDirectory() as folder:
            found.append(cycles(Path(folder), rows, columns, dataflow, extents))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
