"""The bench inside the simulator: loads a program, runs it against memory, and writes down what came of it.

It is started by `cosim.run`, which names a folder with the case in EINSUM_CASCADE_CASE.
"""

import json
import os
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.simtime import get_sim_time
from cocotb.triggers import ClockCycles, First, RisingEdge, Timer
from cocotbext.axi import AxiLiteBus, AxiLiteMaster

from einsum_cascade.array.registers import KERNEL_OFFSET, REGISTERS, field_of, offset_of
from einsum_cascade.cosim.bench_memory import PERIOD_STEPS, BenchMemory
from einsum_cascade.cosim.memory_timing import MemoryTiming

_RESET_CYCLES = 4
_TOLD_CYCLES = 2_000


class Host:
    """Drives the control port."""

    def __init__(self, dut: Any) -> None:
        """Attach to the port."""
        self.port = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        for half in (self.port.write_if, self.port.read_if):
            half.log.setLevel("ERROR")

    async def load(self, registers: dict[str, int], kernel: list[list[int]]) -> None:
        """Write a program."""
        for name, value in registers.items():
            await self.write(offset_of(name), value)
        for number, words in enumerate(kernel):
            for half, word in enumerate(words):
                await self.write(KERNEL_OFFSET + 8 * number + 4 * half, word)

    async def write(self, offset: int, value: int) -> None:
        """Write a register."""
        await self.port.write(offset, (value & 0xFFFFFFFF).to_bytes(4, "little"))

    async def read_all(self) -> dict[str, int]:
        """Read the registers that the array writes."""
        names = [register.name for register in REGISTERS if register.access == "read"]
        return {name: int.from_bytes((await self.port.read(offset_of(name), 4)).data, "little") for name in names}


async def _tell(file: Path) -> None:
    """Write down now and then in which cycle the simulation is, for whoever waits for it."""
    while True:
        await Timer(_TOLD_CYCLES * PERIOD_STEPS, unit="step")
        draft = file.with_suffix(".draft")
        draft.write_text(str(int(get_sim_time("step")) // PERIOD_STEPS))
        draft.replace(file)


@cocotb.test()
async def run_program(dut: Any) -> None:
    """Run the case, and leave status, counters and memory in its folder."""
    folder = Path(os.environ["EINSUM_CASCADE_CASE"])
    case = json.loads((folder / "case.json").read_text())
    cocotb.start_soon(Clock(dut.clk, PERIOD_STEPS, unit="step").start())
    memory = BenchMemory(dut, (folder / "memory.bin").read_bytes(), MemoryTiming(**case["memory"]))
    host = Host(dut)
    dut.rst.value = 1
    await ClockCycles(dut.clk, _RESET_CYCLES)
    dut.rst.value = 0
    await ClockCycles(dut.clk, _RESET_CYCLES)
    await host.write(offset_of("interrupt_enable"), 1)
    if told := os.environ.get("EINSUM_CASCADE_PROGRESS"):
        cocotb.start_soon(_tell(Path(told)))
    runs: list[dict[str, Any]] = []
    for load in case["loads"]:
        if load["follows"] and not (runs[-1]["has_ended"] and field_of("status", "error").of(runs[-1]["status"]) == 0):
            break
        await host.load(load["registers"], load["kernel"])
        await host.write(offset_of("control"), 1)
        await First(RisingEdge(dut.irq), Timer(load["limit_cycles"] * PERIOD_STEPS, unit="step"))
        has_ended = bool(dut.irq.value)
        runs.append({"has_ended": has_ended, **await host.read_all()})
    (folder / "status.json").write_text(json.dumps(runs))
    (folder / "memory-after.bin").write_bytes(memory.content())
