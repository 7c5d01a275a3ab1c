"""Prove the assertions of a harness for all inputs over a number of cycles, with Yosys's SAT solver."""

import inspect
from pathlib import Path
from types import ModuleType

from amaranth.back import rtlil
from amaranth.hdl import Assert, Cat, ClockDomain, Elaboratable, Module, Signal, Value
from amaranth.lib.wiring import Component, In
from yosys_runs import YosysError, run_yosys

__all__ = ["Harness", "assert_holds", "assert_stable", "is_refuted", "mutated"]

_FAILED = "ERROR: Called with -verify and proof did fail!"


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
        self._domain = ClockDomain("sync", reset_less=True)

    def free(self) -> list[Value]:
        """Return the clock and the inputs that nothing drives: what is not a port is 0."""
        members = self.component.signature.flatten(self.component)
        inputs = [
            Value.cast(value)
            for path, member, value in members
            if member.flow == In and not {".".join(map(str, path)), str(path[0])} & self.driven
        ]
        return [self._domain.clk, *inputs]

    def require(self, m: Module, component: Component) -> None:
        """Add the assertions."""
        raise NotImplementedError

    def elaborate(self, platform: object) -> Module:
        """Put the component beside its assertions."""
        m = Module()
        m.domains += self._domain
        m.submodules.dut = self.component
        self.require(m, self.component)
        return m


def assert_stable(m: Module, valid: Value, ready: Value, *payload: Value) -> None:
    """Assert that what is valid and not taken stays as it is (Arm IHI 0022, "Handshake process")."""
    whole = Cat(*payload)
    waits, held = Signal(), Signal(len(whole))
    m.d.sync += [waits.eq(valid & ~ready), held.eq(whole)]
    m.d.comb += Assert(~waits | (valid & (whole == held)))


def assert_holds(harness: Harness, cycles: int, folder: Path, *, always: bool = False) -> None:
    """Raise `YosysError` unless the assertions hold in the first cycles, or, if `always`, by induction over them."""
    (folder / "harness.il").write_text(rtlil.convert(harness, name="harness", ports=harness.free()))
    depth = "-tempinduct" if always else "-tempinduct-baseonly"
    run_yosys(
        [
            "read_rtlil harness.il",
            "hierarchy -check -top harness",
            "proc",
            "flatten",
            "chformal -lower",
            "memory_collect",
            "memory_map",
            "opt -full",
            "select -assert-min 1 t:$assert",
            "techmap",
            "opt -fast",
            f"sat -verify -prove-asserts -set-assumes {depth} -maxsteps {cycles} harness",
        ],
        folder,
    )


def is_refuted(harness: Harness, cycles: int, folder: Path) -> bool:
    """Return whether there is a counterexample in the first cycles."""
    try:
        assert_holds(harness, cycles, folder)
    except YosysError as error:
        if str(error).startswith(_FAILED):
            return True
        raise
    return False


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
