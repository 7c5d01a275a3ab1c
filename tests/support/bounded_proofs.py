"""Prove the assertions of a harness for all inputs over a number of cycles: Yosys writes SMT-LIB, Bitwuzla decides."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import bitwuzla
from amaranth.back import rtlil
from amaranth.hdl import Assert, Assume, Cat, ClockDomain, Elaboratable, Module, Signal, Value
from amaranth.lib.wiring import Component, In
from yosys_runs import run_yosys

from einsum_cascade.rtl import drain

__all__ = [
    "Harness",
    "Unrolled",
    "assert_holds",
    "assert_stable",
    "drain_of",
    "is_refuted",
    "model_of",
    "mutated",
]


class Harness(Elaboratable):
    """A component whose inputs are free unless a subclass drives them; there is no reset after the first cycle.

    Parameters
    ----------
    component
        What is proved.

    """

    def __init__(self, component: Component) -> None:
        """Take the component."""
        self.component = component
        self.driven: set[str] = set()
        self._chosen: list[Signal] = []
        self._domain = ClockDomain("sync", reset_less=True)

    def free(self) -> list[Value]:
        """Return the clock and the inputs that nothing drives: what is not a port is 0."""
        members = self.component.signature.flatten(self.component)
        inputs = [
            Value.cast(value)
            for path, member, value in members
            if member.flow == In and not {".".join(map(str, path)), str(path[0])} & self.driven
        ]
        return [self._domain.clk, *inputs, *self._chosen]

    def choose(self, name: str, bits: int) -> Signal:
        """Return a value that is anything, but the same in all cycles."""
        self._chosen.append(Signal(bits, name=name))
        return self._chosen[-1]

    def require(self, m: Module, component: Component) -> None:
        """Add the assertions."""
        raise NotImplementedError

    def elaborate(self, platform: object) -> Module:
        """Put the component beside its assertions."""
        m = Module()
        m.domains += self._domain
        m.submodules.dut = self.component
        is_later = Signal()
        m.d.sync += is_later.eq(1)
        for value in self._chosen:
            before = Signal(len(value))
            m.d.sync += before.eq(value)
            m.d.comb += Assume(~is_later | (value == before))
        self.require(m, self.component)
        return m


def assert_stable(m: Module, valid: Value, ready: Value, *payload: Value) -> None:
    """Assert that what is valid and not taken stays as it is (Arm IHI 0022, "Handshake process")."""
    whole = Cat(*payload)
    waits, held = Signal(), Signal(len(whole))
    m.d.sync += [waits.eq(valid & ~ready), held.eq(whole)]
    m.d.comb += Assert(~waits | (valid & (whole == held)))


def assert_holds(harness: Harness, cycles: int, folder: Path, *, always: bool = False) -> None:
    """Fail unless the assertions hold in the first cycles, or, if `always`, by induction over them."""
    model = _model(harness, folder)
    failing = _failing_cycle(model, cycles)
    assert failing is None, f"an assertion fails in cycle {failing}"
    if always:
        assert _is_inductive(model, cycles), f"the assertions do not follow from {cycles} cycles in which they hold"


def is_refuted(harness: Harness, cycles: int, folder: Path) -> bool:
    """Return whether there is a counterexample in the first cycles."""
    return _failing_cycle(_model(harness, folder), cycles) is not None


def _model(harness: Harness, folder: Path) -> str:
    return model_of(harness, harness.free(), folder)


def model_of(harness: Elaboratable, ports: Sequence[Value], folder: Path, before: Sequence[str] = ()) -> str:
    """Return the states of a harness as SMT-LIB: `_i` of the first, `_t` of a step, `_u` assumed, `_a` asserted.

    Commands of Yosys may come `before` what begins with a value is made use of.
    """
    (folder / "harness.il").write_text(rtlil.convert(harness, name="harness", ports=ports))
    run_yosys(
        [
            "read_rtlil harness.il",
            "hierarchy -check -top harness",
            "proc",
            "flatten",
            "chformal -lower",
            "memory_collect",
            "memory_map",
            *before,
            "opt -full",
            "select -assert-min 1 t:$assert",
            "dffunmap",
            "write_smt2 harness.smt2",
        ],
        folder,
    )
    return (folder / "harness.smt2").read_text()


class Unrolled:
    """The states of a harness, one after another, each a step from the one before."""

    def __init__(self, model: str) -> None:
        self._parser = bitwuzla.Parser(bitwuzla.TermManager(), bitwuzla.Options())
        self.tell(model)
        self._states = 0

    def tell(self, text: str) -> None:
        self._parser.parse(text, False, False)

    def add_state(self) -> None:
        state, self._states = self._states, self._states + 1
        self.tell(f"(declare-const s{state} |harness_s|) (assert (|harness_u| s{state}))")
        if state:
            self.tell(f"(assert (|harness_t| s{state - 1} s{state}))")

    def begin(self) -> None:
        self.tell("(assert (|harness_i| s0))")

    def keep(self) -> None:
        """Let the assertions hold in the last state."""
        self.tell(f"(assert (|harness_a| s{self._states - 1}))")

    def is_met(self) -> bool:
        """Return whether the assertions hold in the last state, whatever the inputs."""
        return self.follows(f"(|harness_a| s{self._states - 1})")

    def follows(self, claim: str) -> bool:
        """Return whether a claim follows from what was told."""
        self.tell(f"(push 1) (assert (not {claim}))")
        result = self._parser.bitwuzla().check_sat()
        self.tell("(pop 1)")
        assert result in (bitwuzla.Result.SAT, bitwuzla.Result.UNSAT), result
        return result == bitwuzla.Result.UNSAT

    def is_possible(self) -> bool:
        return self._parser.bitwuzla().check_sat() == bitwuzla.Result.SAT


def _failing_cycle(model: str, cycles: int) -> int | None:
    """Return the first cycle in which an assertion can fail."""
    states = Unrolled(model)
    for cycle in range(cycles):
        states.add_state()
        if not cycle:
            states.begin()
        if not states.is_met():
            return cycle
        states.keep()
    assert states.is_possible(), "no input keeps to what the harness assumes"
    return None


def _is_inductive(model: str, cycles: int) -> bool:
    states = Unrolled(model)
    for _ in range(cycles):
        states.add_state()
        states.keep()
    states.add_state()
    return states.is_met()


def drain_of(module: ModuleType) -> ModuleType:
    """Return the drain's module, with the writer of another module if that is one of the writer."""
    if hasattr(module, "Drain"):
        return module
    whole = mutated(drain)
    whole.__dict__["Writer"] = module.Writer
    return whole


def mutated(module: ModuleType, before: str = "", after: str = "") -> ModuleType:
    """Return a module made from the source of another, with one place changed."""
    source = inspect.getsource(module)
    assert not before or source.count(before) == 1, f"{before!r} is {source.count(before)} times in {module.__name__}"
    changed = ModuleType(module.__name__)
    exec(
        compile(source.replace(before, after) if before else source, f"{module.__name__} with {after}", "exec"),
        changed.__dict__,
    )
    return changed
