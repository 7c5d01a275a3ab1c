import re
from fractions import Fraction
from typing import Any

import pytest

from einsum_cascade.errors import ScheduleError
from einsum_cascade.schedule.graph import Context, Dependence, Hold, OperationGraph, Resource, TileOperation, Use

PORT = Resource("port")
LOAD = TileOperation("load", "port", 3)
ADD = TileOperation("add", None, 2)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"operations": ()}, r"A graph must have an operation, but has none; give at least one\."),
        (
            {"operations": (LOAD, LOAD)},
            r"Operation 'load' must be given once, but is given 2 times; rename all but one\.",
        ),
        (
            {"resources": (Resource("port", 0),)},
            r"The capacity of resource 'port' must be a whole number of at least 1, not 0; correct it\.",
        ),
        (
            {"operations": (TileOperation("load", "prot"),)},
            r"The resource of operation 'load' must be one of port, not 'prot'; add it to the graph, or .*\.",
        ),
        (
            {"operations": (TileOperation("load", "port", -1),)},
            r"The duration of operation 'load' must be an int or a Fraction of at least 0 cycles, not -1; .*",
        ),
        (
            {"operations": (TileOperation("load", "port", 0.5),)},  # pyright: ignore
            r"The duration of operation 'load' must be an int or a Fraction of at least 0 cycles, not 0\.5; .*",
        ),
        (
            {"operations": (TileOperation("load", "port", slots=4, spacing=0),)},
            r"The spacing of operation 'load' must be an int or a Fraction of at least 1 cycles, not 0; .*",
        ),
        (
            {"operations": (TileOperation("load", "port", 2, slots=4),)},
            r"The slots of chain 'load' must last 1 cycle each, not 2; leave the duration out, or make it a block .*\.",
        ),
        (
            {"operations": (TileOperation("load", None, uses=(Use("port", amount=2),)),)},
            r"Operation 'load' must take at most the 1 units that resource 'port' has, not 2; .*\.",
        ),
        (
            {"operations": (TileOperation("load", None, holds=(Hold("port", 2),)),)},
            r"Operation 'load' must hold at most the 1 units that resource 'port' has, not 2; .*\.",
        ),
        (
            {"operations": (TileOperation("load", "port", holds=(Hold("port", 1),)),)},
            r"Resource 'port' must either be taken by operations or hold results, but does both; make it two\.",
        ),
        (
            {"dependences": (Dependence("lod", "add"),)},
            r"The producer in the dependence of 'add' on 'lod' must be one of load, add, not 'lod'; .*\.",
        ),
        (
            {"dependences": (Dependence("load", "add", -2),)},
            r"The latency of the dependence of 'add' on 'load' must be an int or a Fraction of at least .*, not -2; .*",
        ),
        (
            {"dependences": (Dependence("load", "add", 0, -1),)},
            r"The distance of the dependence of 'add' on 'load' must be a whole number of at least 0, not -1; .*",
        ),
        (
            {"dependences": (Dependence("load", "add", kind="start"),)},  # pyright: ignore
            r"The kind of the dependence of 'add' on 'load' must be 'finish' or 'stream', not 'start'; choose one\.",
        ),
        (
            {"contexts": (Context("score", 0, "load", ("add",)),)},
            r"The count of context 'score' must be a whole number of at least 1, not 0; correct it\.",
        ),
        (
            {"contexts": (Context("score", 1, "load", ()),)},
            r"Context 'score' must be released by an operation, but by none is; name the last that needs it\.",
        ),
        (
            {"contexts": (Context("score", 1, "load", ("sub",)),)},
            r"An operation of context 'score' must be one of load, add, not 'sub'; .*\.",
        ),
        (
            {"dependences": (Dependence("load", "add"), Dependence("add", "load"))},
            r"Operations of one tile must not wait for one another in a cycle, but \w+ -> \w+ -> \w+ do; give .*\.",
        ),
    ],
)
def test_a_wrong_graph_is_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ScheduleError, match=f"^{sentence}$"):
        OperationGraph(**{"resources": (PORT,), "operations": (LOAD, ADD), **given})


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ScheduleError) as caught:
        OperationGraph((PORT,), (TileOperation("load", "prot"), ADD), (Dependence("a", "b"),))
    assert len(re.findall("must be one of", str(caught.value))) == 3


def test_a_share_of_a_cycle_is_a_duration() -> None:
    graph = OperationGraph((PORT,), (TileOperation("load", "port", Fraction(64, 7)),))
    assert graph.operation["load"].duration == Fraction(64, 7)
