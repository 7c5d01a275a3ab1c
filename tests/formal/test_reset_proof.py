"""After a reset of one cycle a part is idle, whatever state it was in: what is valid is forgotten, and nothing leaves.

Two claims. Of two copies in any two states, all registers are alike after a reset but those that hold plain data, which
are named here: words of memories, numbers on their way through a pipeline. And where nothing is asked for after it,
nothing leaves, for as long as any pipeline is deep.
"""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from amaranth.hdl import Cat, Const, Value
from amaranth.lib.wiring import Component
from bounded_proofs import drain_of, mutated
from reset_proofs import AfterReset, outliving, stays_idle

from einsum_cascade.array.registers import counters
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.rtl import (
    control_port,
    delay,
    delayed_queue,
    divider,
    drain,
    feeder,
    jobs,
    pe,
    sequencer,
    tile_reader,
    writer,
)
from einsum_cascade.rtl.column import ColumnTop
from einsum_cascade.rtl.lane import VectorLane

SHAPE = ArrayShape(2, 2, product_steps=2, output_steps=2, slots=2, contexts=2, kernel_rows=4)


class DrainAfterReset(AfterReset):
    def __init__(self, module: ModuleType = drain) -> None:
        super().__init__(drain_of(module).Drain(SHAPE))

    def is_asked(self, component: Component) -> Value:
        return component.has_result | component.memory.bvalid

    def is_idle(self, component: Component) -> Value:
        sends = component.memory.awvalid | component.memory.wvalid
        return component.is_idle & component.takes_result & ~sends & (component.empty_columns == 0)


class ReaderAfterReset(AfterReset):
    def __init__(self, module: ModuleType = tile_reader) -> None:
        super().__init__(module.Reader(SHAPE))

    def is_asked(self, component: Component) -> Value:
        return Cat(each.valid for each in (component.key_jobs, component.query_jobs, component.state_jobs)).any()

    def is_idle(self, component: Component) -> Value:
        """Whatever comes from memory: answers to what was asked for before the reset go nowhere."""
        counts = (component.keys_loaded, component.queries_loaded, component.states_loaded)
        sends = component.memory.arvalid | component.fill_write | Cat(counts).any()
        return ~sends & (component.is_idle | component.memory.rvalid)


class SequencerAfterReset(AfterReset):
    def __init__(self, module: ModuleType = sequencer) -> None:
        super().__init__(module.Sequencer(SHAPE))

    def is_asked(self, component: Component) -> Value:
        return component.start

    def is_idle(self, component: Component) -> Value:
        places = Cat(each.is_leaving for each in (component.key_places, component.query_places))
        does = Cat(component.corner.row.op, component.corner.vector.op, component.result_push, places).any()
        counts = counters("corner")
        return ~component.is_running & ~does & ~Cat(getattr(component, name) for name in counts).any()


class JobsAfterReset(AfterReset):
    def is_asked(self, component: Component) -> Value:
        return component.start

    def is_idle(self, component: Component) -> Value:
        return ~component.jobs.valid


class ControlAfterReset(AfterReset):
    def __init__(self, module: ModuleType = control_port) -> None:
        super().__init__(module.ControlPort({}))

    def is_asked(self, component: Component) -> Value:
        return component.bus.awvalid | component.bus.wvalid | component.bus.arvalid

    def is_idle(self, component: Component) -> Value:
        registers = Cat(getattr(component, name) for name in control_port.writable())
        answers = component.bus.bvalid | component.bus.rvalid
        return ~answers & ~component.start & ~component.table_write & ~registers.any()


class DelayAfterReset(AfterReset):
    def __init__(self, module: ModuleType = delay) -> None:
        super().__init__(module.Delay(3, 10))

    def is_asked(self, component: Component) -> Value:
        return component.given.any()

    def is_idle(self, component: Component) -> Value:
        return component.delayed == 0


class QueueAfterReset(AfterReset):
    def __init__(self, module: ModuleType = delayed_queue) -> None:
        super().__init__(module.DelayedQueue(2, 6, 4))

    def is_asked(self, component: Component) -> Value:
        return component.push

    def is_idle(self, component: Component) -> Value:
        return ~component.pop & ~component.has_next


class PartAfterReset(AfterReset):
    """A part of the array: no instruction comes, and none goes on."""

    def is_asked(self, component: Component) -> Value:
        return getattr(component, "above" if hasattr(component, "above") else "left").op.any()

    def is_idle(self, component: Component) -> Value:
        outputs = [getattr(component, name).op for name in ("right", "below") if hasattr(component, name)]
        return ~Cat(outputs).any() & ~getattr(component, "is_done", Const(0))


class DividerAfterReset(AfterReset):
    """It knows no idleness: the drain knows what of it is somebody's."""

    def is_asked(self, component: Component) -> Value:
        return Const(0)

    def is_idle(self, component: Component) -> Value:
        return Const(1)


def _named(*names: str) -> set[str]:
    return {f"dut.{name}" for name in names}


def _fifo(name: str) -> set[str]:
    return _named(f"{name}.storage", f"{name}.r_data")


# What may differ after a reset: words of memories, those that were read of them, and numbers in a pipeline.
_FIFOS = _fifo("writer.beats") | _fifo("writer.addresses") | _fifo("writer.acknowledges")
_RINGS = _named(*(f"{name}.queue.{of}" for name in ("key_places", "query_places") for of in ("ring", "read__data")))
_LANE = _named("accumulators_0", "accumulators_1", "corrections", "maxima")
_LANE_READ = {f"$/dut.accumulators_{bank}$rdreg$q" for bank in (0, 1)}
_READ = "read__data"
PARTS: dict[str, tuple[Callable[[], AfterReset], int, set[str]]] = {
    "drain": (DrainAfterReset, 24, _FIFOS | _named("divider_0.register")),
    "reader": (ReaderAfterReset, 6, _fifo("bursts")),
    "sequencer": (SequencerAfterReset, 6, _RINGS | _named("matrix_table", "vector_table", "read__data")),
    "keys": (lambda: JobsAfterReset(jobs.KeyJobs(SHAPE)), 3, set()),
    "queries": (lambda: JobsAfterReset(jobs.QueryJobs(SHAPE)), 3, set()),
    "states": (lambda: JobsAfterReset(jobs.StateJobs(SHAPE)), 3, set()),
    "control": (ControlAfterReset, 3, set()),
    "delay": (DelayAfterReset, 24, _named("words", _READ)),
    "queue": (QueueAfterReset, 10, _named("ring", "read__data")),
    "pe": (lambda: PartAfterReset(pe.ProcessingElement(SHAPE)), 4, _named("contexts")),
    "feeder": (lambda: PartAfterReset(feeder.RowFeeder(SHAPE)), 4, _named("bank", _READ)),
    "column": (lambda: PartAfterReset(ColumnTop(SHAPE)), 4, _named("queries", _READ)),
    "lane": (lambda: PartAfterReset(VectorLane(SHAPE)), 4, _LANE | _LANE_READ),
    "divider": (lambda: DividerAfterReset(divider.Divider()), 0, _named("register")),
}


@pytest.mark.parametrize("name", PARTS)
def test_only_data_outlives_a_reset(name: str, tmp_path: Path) -> None:
    harness, _, data = PARTS[name]
    assert outliving(harness(), tmp_path) == data


@pytest.mark.parametrize("name", PARTS)
def test_nothing_leaves_after_a_reset(name: str, tmp_path: Path) -> None:
    harness, cycles, _ = PARTS[name]
    assert stays_idle(harness(), cycles, tmp_path)


def _without_reset(before: str) -> tuple[str, str]:
    assert before.endswith(")")
    return before, before[:-1] + (", " if not before.endswith("()") else "") + "reset_less=True)"


@pytest.mark.parametrize(
    ("harness", "module", "change"),
    [
        # What the dividers are at work on stays valid, and comes out after the reset.
        (DrainAfterReset, drain, _without_reset('Signal(_group_layout(self._shape), name=f"group_{at + 1}")')),
        (DrainAfterReset, writer, _without_reset("outstanding = Signal(range(most + _ON_THEIR_WAY + 1))")),
        (ReaderAfterReset, tile_reader, _without_reset("has_job = Signal()")),
        # An answer to what was asked for before the reset is taken for one.
        (ReaderAfterReset, tile_reader, ("is_asked.eq(arrives & bursts.r_rdy)", "is_asked.eq(arrives)")),
        (DelayAfterReset, delay, ("Mux(is_valid, read.data, 0)", "read.data")),
        (QueueAfterReset, delayed_queue, ("self.has_next.eq(following != tail)", "self.has_next.eq(1)")),
    ],
)
def test_what_leaves_after_a_reset_is_found(
    harness: Callable[[ModuleType], AfterReset], module: ModuleType, change: tuple[str, str], tmp_path: Path
) -> None:
    assert not stays_idle(harness(mutated(module, *change)), 24, tmp_path)


def test_a_register_that_outlives_a_reset_is_found(tmp_path: Path) -> None:
    change = _without_reset("is_ready = Signal()")
    found = outliving(SequencerAfterReset(mutated(sequencer, *change)), tmp_path)
    assert found - PARTS["sequencer"][2] == {"dut.is_ready"}
