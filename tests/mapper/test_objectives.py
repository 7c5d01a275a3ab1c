"""What a plan is chosen for: planning and the rules of parameters honour any objective, also one that nobody listed."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from einsum_cascade import load_architecture, resolve_extents, study, zoo
from einsum_cascade.errors import UsageError
from einsum_cascade.mapper.objectives import OBJECTIVES, Objective, Plan, objective_named
from einsum_cascade.mapper.planning import plan_mapping
from einsum_cascade.mapping.capacity import Infeasibility
from einsum_cascade.mapping.codec import parse_mapping, to_yaml
from einsum_cascade.mapping.demand import demands
from einsum_cascade.mapping.presets import load_mapping
from einsum_cascade.mapping.workload import Workload
from einsum_cascade.study.rendering import to_text

ROWS = {"flat-on-chip": (4096, 1024, 512, 256), "flat-off-chip": (1024, 512, 256)}
WORKLOAD = Workload(zoo.load("attention"))
MACHINE = load_architecture("flat-cloud")
EXTENTS = resolve_extents(WORKLOAD.cascade, {"E": 64, "F": 64, "M": 4096, "P": 4096})


def held(plan: Plan) -> float:
    """Bytes in the buffer."""
    found = demands(WORKLOAD, MACHINE, plan.mapping, plan.values)
    return float(next(demand.amount for demand in found if demand.resource == ("memory", "buffer")))


OWN = Objective("buffer", (held,))
ALL = [*OBJECTIVES.values(), OWN]


def chosen(objective: Objective) -> Plan:
    mappings = [load_mapping("flat-on-chip"), load_mapping("flat-off-chip")]
    return plan_mapping(WORKLOAD, MACHINE, mappings, EXTENTS, objective=objective)


def every_plan() -> Iterator[Plan]:
    """Walk FLAT's space without the rule that chooses: every number of rows, on chip and off chip."""
    for name, sizes in ROWS.items():
        mapping = load_mapping(name)
        for rows in sizes:
            yield plan_mapping(WORKLOAD, MACHINE, [mapping], {**EXTENTS, "ROWS": rows})


@pytest.mark.parametrize("objective", ALL, ids=lambda each: each.name)
def test_no_plan_that_fits_has_less_of_it(objective: Objective) -> None:
    fitting = [plan for plan in every_plan() if not plan.infeasibilities]
    found = chosen(objective)
    assert not found.infeasibilities
    assert found.objective == objective.name
    assert objective.rank(found) == pytest.approx(min(map(objective.rank, fitting)))


def test_objectives_differ() -> None:
    """So that none of them is another one in disguise.

    Scores that stay on chip save time. Products mapped alone, for scores in DRAM, read and write registers less often,
    which saves more energy than DRAM takes. The fewer rows stay, the less is held.
    """
    found = {name: chosen(OBJECTIVES[name]) for name in ("latency", "energy")} | {"buffer": chosen(OWN)}
    assert {name: (plan.mapping.name, plan.values["ROWS"]) for name, plan in found.items()} == {
        "latency": ("flat-on-chip", 1024),
        "energy": ("flat-off-chip", 1024),
        "buffer": ("flat-on-chip", 256),
    }


def test_what_does_not_fit_is_worse_unless_the_objective_says_otherwise() -> None:
    plans = [plan for plan in every_plan() if plan.mapping.name == "flat-on-chip"]
    widest = max(plans, key=lambda plan: plan.values["ROWS"])
    others = [plan for plan in plans if plan is not widest]
    unfit = replace(widest, infeasibilities=(Infeasibility("rows of tiles", 4096, 1024, "rows", "use fewer"),))
    wide = Objective("width", (lambda plan: -float(plan.values["ROWS"]),))
    assert min([unfit, *others], key=wide.rank).values["ROWS"] == 1024
    assert min([unfit, *others], key=replace(wide, prefers_fitting=False).rank) is unfit


def test_names() -> None:
    assert objective_named("energy") is OBJECTIVES["energy"]
    with pytest.raises(
        UsageError,
        match=r"^no objective is called 'energie'; did you mean 'energy'\?$",
    ):
        objective_named("energie")


def test_the_door_takes_a_name_or_a_value() -> None:
    case = {"E": 64, "F": 64, "M": 4096, "P": 4096}
    for objective in ("traffic", OBJECTIVES["traffic"]):
        report = study("attention", "flat-cloud", objective=objective, **case).cost()
        assert report.objective == "traffic"
        assert "chosen for traffic" in to_text(report.parts())
    assert "chosen for" not in to_text(study("attention", "flat-cloud", **case).cost().parts())


def test_an_unknown_objective_is_refused_where_it_is_given() -> None:
    with pytest.raises(UsageError, match=r"^no objective is called 'trafic'; did you mean 'traffic'\?$"):
        study("attention", "flat-cloud", objective="trafic")


def test_published_energies_are_of_plans_chosen_for_latency() -> None:
    """FLAT's energies beside ours: told only where both were chosen as the published ones were."""
    case = {"machine": "fusemax-cloud", "model": "BERT", "seq": "1K"}
    for objective, is_told in (("latency", True), ("energy", False)):
        report = study("attention-1pass", objective=objective, **case).compare("flat")
        assert ("published" in to_text(report.parts())) is is_told


def test_the_rule_has_two_names() -> None:
    """`fastest of` is what files of earlier versions say."""
    text = "name: x\nparameters:\n  T: {word} of 8, 4 up to M\nsteps: [for m by T]\nbody: [Z on pes]"
    one, same = (parse_mapping(text.format(word=word)) for word in ("best", "fastest"))
    assert one == same
    assert "T: best of 8, 4 up to M" in to_yaml(same)
