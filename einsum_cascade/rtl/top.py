"""The top: the array with its control port, sequencer, loaders, drain and watchdog."""

import re

from amaranth import Cat, ClockSignal, Const, Instance, Module, Mux, ResetInserter, ResetSignal, Signal, Value
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import Component, Member, Out, connect

from einsum_cascade.array.capabilities import capabilities
from einsum_cascade.array.instruction import PASSES
from einsum_cascade.array.registers import ErrorCode, Flag, Waiting, counters
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.rtl.array import OUTPUTS, array_files, constants_of, done_latency, port_widths
from einsum_cascade.rtl.axi import LiteSignature, MemorySignature
from einsum_cascade.rtl.control_port import ControlPort
from einsum_cascade.rtl.drain import Drain
from einsum_cascade.rtl.freed_places import release_latency
from einsum_cascade.rtl.jobs import Destination, KeyJobs, QueryJobs, StateJobs
from einsum_cascade.rtl.links import row_beat_bits
from einsum_cascade.rtl.module_text import module_text
from einsum_cascade.rtl.results import ResultLayout
from einsum_cascade.rtl.sequencer import Sequencer
from einsum_cascade.rtl.tile_reader import Reader
from einsum_cascade.rtl.tile_state import COUNT_BITS
from einsum_cascade.rtl.visit_loops import LoopBounds
from einsum_cascade.watching import stage

__all__ = ["Top", "design_files", "design_ports"]

_PREFIX = re.compile(r"[A-Za-z]\w*", re.ASCII)

_RESULTS = 2
"""Tiles of results that wait: the sequencer starts none before the one two before has left."""


class Top(Component):
    """The array as a whole.

    Members
    -------
    s_axil_*
        Control, with the members of `LiteSignature`.
    m_axi_*
        Memory, with the members of `MemorySignature`.
    irq : Out(1)
        A run has ended, or was refused; if enabled, until that is cleared, or the next one starts.

    Timing
    ------
    See the parts. After reset it is idle.

    A run that ends, well or not, is stopped: nothing is sent or asked for any more, addresses that memory has seen stay
    until it takes them, what was asked for is awaited, and a tile of results that began to leave does. Only then it is
    done, and the next one may start. Where memory holds that up for `watchdog` cycles, the run is done but unsettled,
    and no start is taken until what is missing has come.

    """

    def __init__(self, shape: ArrayShape, prefix: str = "") -> None:
        self._shape, self._prefix = shape, prefix
        super().__init__(_members(shape))

    def elaborate(self, platform: object) -> Module:
        """Join the parts."""
        m = Module()
        shape = self._shape
        m.submodules.control = control = ControlPort(capabilities(shape))
        m.submodules.sequencer = sequencer = Sequencer(shape)
        jobs = keys, queries, states = KeyJobs(shape), QueryJobs(shape), StateJobs(shape)
        m.submodules.reader, m.submodules.drain = reader, drain = Reader(shape), Drain(shape)
        for name, member in LiteSignature().members.items():
            ours, theirs = getattr(self, f"s_axil_{name}"), getattr(control.bus, name)
            m.d.comb += ours.eq(theirs) if member.flow == Out else theirs.eq(ours)
        connect(m, keys.jobs, reader.key_jobs)
        connect(m, queries.jobs, reader.query_jobs)
        connect(m, states.jobs, reader.state_jobs)
        start = Signal()
        stop = Signal()
        for name, each in zip(("key_jobs", "query_jobs", "state_jobs"), jobs, strict=True):
            m.submodules[name] = ResetInserter(stop)(each)
        self._parameters(m, control, sequencer, jobs, drain)
        self._table(m, control, sequencer)
        self._memory(m, reader, drain)
        results_done = self._array(m, control, sequencer, reader, drain)
        self._results(m, sequencer, drain, results_done, stop)
        for part in (sequencer, *jobs, reader, drain):
            m.d.comb += part.start.eq(start)
        m.d.comb += [
            *(sequencer.stop.eq(stop), reader.stop.eq(stop)),
            sequencer.keys_loaded.eq(reader.keys_loaded),
            sequencer.queries_loaded.eq(reader.queries_loaded),
            sequencer.states_loaded.eq(reader.states_loaded),
            sequencer.results_drained.eq(drain.results_drained),
            keys.places.eq(sequencer.key_places),
            queries.released.eq(sequencer.query_places.released),
            *(states.drained.eq(drain.results_drained), states.stored.eq(drain.states_stored)),
        ]
        self._run(m, control, sequencer, reader, drain, start, stop)
        return m

    def _parameters(
        self,
        m: Module,
        control: ControlPort,
        sequencer: Sequencer,
        jobs: tuple[KeyJobs, QueryJobs, StateJobs],
        drain: Drain,
    ) -> None:
        """Give every part the registers that it has a member for."""
        keys, queries, states = jobs
        slot_beats = Signal(16)
        m.d.comb += slot_beats.eq(control.key_beats + control.value_beats)
        for bounds in (sequencer.parameters.bounds, *(each.bounds for each in jobs)):
            for name in LoopBounds().members:
                m.d.comb += getattr(bounds, name).eq(getattr(control, name))
        names = (
            "interval",
            "stages",
            "contexts",
            "queue",
            "slots",
            "key_beats",
            "product_steps",
            "output_steps",
            "keys",
        )
        for name in (*names, "diagonal_high", "diagonal_low"):
            m.d.comb += getattr(sequencer.parameters, name).eq(getattr(control, name))
        for name in ("slots", "key_beats", "value_beats", "keys"):
            m.d.comb += getattr(keys, name).eq(getattr(control, name))
        for name in ("flags", "output_steps", "keys", "queries"):
            m.d.comb += getattr(drain, name).eq(getattr(control, name))
        m.d.comb += [
            sequencer.parameters.slot_beats.eq(slot_beats),
            keys.slot_beats.eq(slot_beats),
            queries.key_beats.eq(control.key_beats),
            queries.queries.eq(control.queries),
            *(states.queries.eq(control.queries), states.output_steps.eq(control.output_steps)),
        ]
        operands = (("query", queries.query), ("key", keys.key), ("value", keys.value))
        tensors = (*operands, ("output", drain.output), ("state", drain.state), ("state", states.state))
        for name, layout in tensors:
            for part in ("address", "stride", "head_stride"):
                m.d.comb += getattr(layout, part).eq(getattr(control, f"{name}_{part}"))

    def _table(self, m: Module, control: ControlPort, sequencer: Sequencer) -> None:
        for name in ("table_write", "table_row", "table_half", "table_data"):
            m.d.comb += getattr(sequencer, name).eq(getattr(control, name))

    def _memory(self, m: Module, reader: Reader, drain: Drain) -> None:
        """Give the read channels to the reader, the write channels to the drain."""
        for name, member in MemorySignature(self._shape.beat_bytes).members.items():
            part = reader if name.startswith(("ar", "r")) else drain
            ours, theirs = getattr(self, f"m_axi_{name}"), getattr(part.memory, name)
            m.d.comb += ours.eq(theirs) if member.flow == Out else theirs.eq(ours)

    def _array(self, m: Module, control: ControlPort, sequencer: Sequencer, reader: Reader, drain: Drain) -> Value:
        fill, beat_bits = reader.fill, row_beat_bits(self._shape)
        results_done = Signal()
        inputs: dict[str, Value] = {
            "clk": ClockSignal(),
            "rst": ResetSignal(),
            "corner": sequencer.corner.as_value(),
            "bank_enable": reader.fill_write & (fill.target == Destination.KEYS),
            "bank_row": fill.line,
            "bank_address": fill.place,
            "bank_data": fill.data,
            "query_enable": reader.fill_write & (fill.target == Destination.QUERIES),
            "query_column": fill.line,
            "query_address": fill.place,
            "query_data": fill.data,
            **{name: getattr(control, name) for name in constants_of(self._shape)},
            "drain_address": drain.address,
            "drain_parity": drain.parity,
            "drain_kind": drain.kind,
            "drain_group": drain.group,
            "fill_enable": reader.fill_write & (fill.target == Destination.STATE),
            "fill_kind": fill.line[1:],
            "fill_address": Cat(fill.line[0], fill.place[beat_bits:]),
            "fill_beat": fill.place,
            "fill_data": fill.data,
        }
        outputs = {"drain_words": drain.words, "drain_sums": drain.sums, "results_done": results_done}
        widths = port_widths(self._shape)
        assert {*inputs, *outputs} == {*widths} and {*outputs} == {*OUTPUTS}
        m.submodules.array = Instance(
            f"{self._prefix}array",
            **{f"i_{name}": value[: widths[name]] for name, value in inputs.items()},
            **{f"o_{name}": Value.cast(value) for name, value in outputs.items()},
        )
        return results_done

    def _results(self, m: Module, sequencer: Sequencer, drain: Drain, results_done: Value, stop: Signal) -> None:
        """Hold results until the last lane has written them, then until the drain takes them.

        The array says when that is, so that nothing here depends on how deep it is, and there is no delay to keep in
        step with it; it does so in order, so that a count is enough to know how many are complete.
        """
        layout = ResultLayout()
        complete = Signal(range(_RESULTS + 1))
        waiting = SyncFIFO(width=layout.size, depth=_RESULTS)
        m.submodules.waiting = ResetInserter(stop)(waiting)
        leaves = drain.has_result & drain.takes_result
        m.d.comb += [
            waiting.w_en.eq(sequencer.result_push),
            waiting.w_data.eq(sequencer.result.as_value()),
            drain.has_result.eq((complete != 0) & ~stop),
            drain.result.eq(waiting.r_data),
            waiting.r_en.eq(leaves),
        ]
        m.d.sync += complete.eq(Mux(stop, 0, complete + results_done - leaves))
        self._has_results = waiting.level != 0

    def _run(
        self,
        m: Module,
        control: ControlPort,
        sequencer: Sequencer,
        reader: Reader,
        drain: Drain,
        start: Signal,
        stop: Signal,
    ) -> None:
        """Begin, count, give up, stop, and end."""
        is_busy = Signal()
        is_done = Signal()
        is_pending = Signal()
        was_refused = Signal()
        error = Signal(8)
        runs = Signal()
        total = Signal(32)
        idle = Signal(32)
        waiting = Signal(7)
        sends = sequencer.matrix_busy + sequencer.vector_busy != self._seen(m, sequencer)
        is_still = self._stillness(m, sends)
        is_settled = Signal()
        problem, failure = self._check(m, control, is_settled), self._failure(m, reader, drain)
        is_overdue = idle >= control.watchdog
        m.d.comb += [
            start.eq(control.start & ~is_busy & (problem == ErrorCode.NONE)),
            stop.eq(~runs & ~start),
            is_settled.eq(is_still & reader.is_idle & drain.is_idle),
            self.irq.eq(is_pending & control.interrupt_enable[0]),
            control.interrupt.eq(is_pending),
            control.is_busy.eq(is_busy),
            control.status.eq(is_busy | is_done << 1 | (~is_busy & ~is_settled) << 2 | error << 8),
            control.waiting.eq(waiting),
            control.total_cycles.eq(total),
            control.empty_columns.eq(drain.empty_columns),
        ]
        for name in counters("corner"):
            m.d.comb += getattr(control, name).eq(getattr(sequencer, name))
        waits = self._waits(sequencer, reader, drain)
        has_ended = ~sequencer.is_running & ~start & ~self._has_results & drain.is_idle
        moves = Signal()
        m.d.comb += moves.eq(
            sends
            | reader.fill_write
            | (self.m_axi_wvalid & self.m_axi_wready)
            | self.m_axi_bvalid
            | (~runs & ~is_still)
        )
        with m.If(control.clear[0]):
            m.d.sync += is_pending.eq(0)
        with m.If(control.refused):
            m.d.sync += was_refused.eq(1)
        just_started = Signal()
        m.d.sync += just_started.eq(start)
        with m.If(control.start & ~is_busy):
            m.d.sync += [
                is_busy.eq(start),
                is_done.eq(~start),
                is_pending.eq(~start),
                was_refused.eq(0),
                runs.eq(start),
                error.eq(problem),
                waiting.eq(waits),
                total.eq(0),
                idle.eq(0),
            ]
        with m.Elif(is_busy):
            # What is still read then, for nobody, does not count.
            m.d.sync += [total.eq(total + runs), idle.eq(Mux(moves, 0, idle + 1))]
            with m.If(runs & (waits != 0)):
                m.d.sync += waiting.eq(waits)
            with m.If(runs & ((failure != 0) | is_overdue)):
                m.d.sync += [runs.eq(0), idle.eq(0), error.eq(Mux(failure != 0, failure, ErrorCode.WATCHDOG))]
            with m.Elif(~runs | (has_ended & ~just_started)):
                m.d.sync += runs.eq(0)
                with m.If(is_settled | (~runs & is_overdue)):
                    m.d.sync += [is_busy.eq(0), is_done.eq(1), is_pending.eq(1)]
                    with m.If((was_refused | control.refused) & (error == ErrorCode.NONE)):
                        m.d.sync += error.eq(ErrorCode.WRITE_REFUSED)

    def _failure(self, m: Module, reader: Reader, drain: Drain) -> Value:
        """Return what memory did wrong in this cycle."""
        failure = Signal(8)
        with m.If(reader.has_error):
            m.d.comb += failure.eq(ErrorCode.READ_ERROR)
        with m.Elif(reader.has_protocol_error):
            m.d.comb += failure.eq(ErrorCode.READ_PROTOCOL)
        with m.Elif(drain.has_error):
            m.d.comb += failure.eq(ErrorCode.WRITE_ERROR)
        return failure

    def _stillness(self, m: Module, sends: Value) -> Value:
        """Return whether no instruction is on its way through the array, and no place on its way back."""
        cycles = max(done_latency(self._shape), release_latency(self._shape)) + 1
        left = Signal(range(cycles + 1))
        m.d.sync += left.eq(Mux(sends, cycles, Mux(left == 0, 0, left - 1)))
        return ~sends & (left == 0)

    def _seen(self, m: Module, sequencer: Sequencer) -> Value:
        seen = Signal(33)
        m.d.sync += seen.eq(sequencer.matrix_busy + sequencer.vector_busy)
        return seen

    def _waits(self, sequencer: Sequencer, reader: Reader, drain: Drain) -> Value:
        bits = {
            Waiting.KEYS: sequencer.waits_keys,
            Waiting.QUERIES: sequencer.waits_queries,
            Waiting.DRAIN: sequencer.waits_drain,
            Waiting.STATE: sequencer.waits_state,
            Waiting.READ_ADDRESS: reader.waits_address,
            Waiting.READ_DATA: reader.waits_data,
            Waiting.WRITE: drain.is_waiting,
        }
        total: Value | int = 0
        for bit, is_waiting in bits.items():
            total = Mux(is_waiting, int(bit), 0) | total
        return total

    def _check(self, m: Module, control: ControlPort, is_settled: Value) -> Value:
        """Return why a program cannot be run.

        What its registers are has two cycles to be looked at: the port takes longer from one write to the next.
        """
        problem = Signal(8)
        mistake = Signal(8)
        is_too_large = self._is_too_large(m, control)
        m.d.sync += mistake.eq(ErrorCode.NONE)
        with m.If(self._is_empty(control)):
            m.d.sync += mistake.eq(ErrorCode.EMPTY)
        with m.Elif(is_too_large):
            m.d.sync += mistake.eq(ErrorCode.TOO_LARGE)
        with m.Elif(self._is_inconsistent(control)):
            m.d.sync += mistake.eq(ErrorCode.INCONSISTENT)
        with m.Elif(self._is_misaligned(control)):
            m.d.sync += mistake.eq(ErrorCode.MISALIGNED)
        m.d.comb += problem.eq(Mux(is_settled, mistake, ErrorCode.UNSETTLED))
        return problem

    def _is_empty(self, control: ControlPort) -> Value:
        has_values = (control.flags & Flag.NO_VALUES) == 0
        needed = ("interval", "stages", "contexts", "queue", "slots", "product_steps", "output_steps", "keys")
        loops = ("key_tiles", "block_tiles", "queries", "query_tiles", "passes", "key_heads", "group", "key_beats")
        empty: Value = has_values & (control.value_beats == 0)
        for name in (*needed, *loops):
            empty = (getattr(control, name) == 0) | empty
        return empty

    def _is_too_large(self, m: Module, control: ControlPort) -> Value:
        shape = self._shape
        is_resident = (control.flags & Flag.RESIDENT) != 0
        beats = control.key_beats + control.value_beats
        # Loops count in COUNT_BITS, and ordinals are compared modulo their range.
        longest = (1 << COUNT_BITS) - 1
        bounds = {
            "interval": shape.kernel_rows,
            "stages": shape.contexts + 1,
            "contexts": shape.contexts,
            "queue": shape.queue,
            "product_steps": shape.product_steps,
            "output_steps": shape.output_steps,
            "passes": PASSES,
            "key_beats": shape.key_beats,
            **dict.fromkeys(("key_tiles", "block_tiles", "query_tiles", "key_heads", "group"), longest),
        }
        heads = Signal(2 * COUNT_BITS)
        held = Signal(64)
        m.d.sync += [
            heads.eq(control.key_heads[:COUNT_BITS] * control.group[:COUNT_BITS]),
            held.eq(control.slots * beats),
        ]
        large: Value = held > shape.bank_beats
        large = large | (is_resident & (control.block_tiles > control.slots))
        large = large | (~is_resident & (control.slots <= control.stages)) | (heads > longest)
        for name, most in bounds.items():
            large = large | (getattr(control, name) > most)
        return large

    def _is_inconsistent(self, control: ControlPort) -> Value:
        """Tell whether tiles are not as many as their elements take, so that some would be empty, or be left out."""
        wrong: Value = Const(0)
        for count, tiles, side in (
            (control.keys, control.key_tiles, self._shape.rows),
            (control.queries, control.query_tiles, self._shape.columns),
        ):
            places = tiles * side
            wrong = wrong | (count > places) | (count + side <= places)
        return wrong

    def _is_misaligned(self, control: ControlPort) -> Value:
        """Tell whether a burst would not begin at a beat, or could cross a page."""
        shape = self._shape
        has_values = (control.flags & Flag.NO_VALUES) == 0
        has_state = ((control.flags & Flag.TILE_RESULTS) == 0) & (control.block_tiles < control.key_tiles)
        rows = max(shape.beat_bytes, shape.result_bytes)
        results = Mux((control.flags & Flag.OPERAND_ROWS) != 0, shape.beat_bytes, rows)
        wrong: Value = Const(0)
        for name, unit, matters in (
            ("query", shape.beat_bytes, 1),
            ("key", shape.beat_bytes, 1),
            ("value", shape.beat_bytes, has_values),
            ("output", results, 1),
            ("state", rows, has_state),
        ):
            for part in ("address", "stride", "head_stride"):
                wrong = wrong | (matters & ((getattr(control, f"{name}_{part}") & (unit - 1)) != 0))
        return wrong


def design_files(shape: ArrayShape, prefix: str = "") -> dict[str, str]:
    """Return the Verilog of an array by file name; the top module is `top`.

    Parameters
    ----------
    shape
        The array.
    prefix
        What the names of all files and modules begin with, so that two arrays may stand in one design.

    Raises
    ------
    ValueError
        A name of Verilog cannot begin so.

    """
    if prefix and not _PREFIX.fullmatch(prefix):
        raise ValueError(
            f"a prefix of module names must be letters, digits and underscores, a letter first, not {prefix!r}"
        )
    with stage("Verilog"):
        return {f"{prefix}top.v": module_text(Top(shape, prefix), "top", prefix), **array_files(shape, prefix)}


def design_ports(shape: ArrayShape) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the inputs and of the outputs of `top`."""
    members = _members(shape)
    outputs = tuple(name for name, member in members.items() if member.flow == Out)
    return ("clk", "rst", *(name for name in members if name not in outputs)), outputs


def _members(shape: ArrayShape) -> dict[str, Member]:
    buses = {"s_axil": LiteSignature(), "m_axi": MemorySignature(shape.beat_bytes)}
    found = {f"{bus}_{name}": member for bus, signature in buses.items() for name, member in signature.members.items()}
    return {**found, "irq": Out(1)}
