"""Whatever is done to a file, the reader answers with a mapping or with places, and the rules with sentences."""

import re
from random import Random

import pytest
from placed_sentences import is_placed
from random_counts import random_count

from einsum_cascade import load_architecture, parse
from einsum_cascade.errors import InfeasibleMappingError, MappingError, MappingFileError
from einsum_cascade.mapper.planning import plan_mapping
from einsum_cascade.mapping.codec import parse_mapping, to_yaml
from einsum_cascade.mapping.legality import diagnostics, violations
from einsum_cascade.mapping.presets import mapping_text
from einsum_cascade.mapping.workload import Workload

MATMUL = "rank M, N, K\ninput A[m:M, k:K], B[k:K, n:N]\nZ[m, n] = A[m, k] * B[k, n]\noutput Z"
TEXTS = [mapping_text(name) for name in ("output-stationary", "weight-stationary")]
TOKENS = [
    "0",
    "-1",
    "1.5",
    "true",
    "null",
    "[]",
    "{}",
    "''",
    "&a",
    "*a",
    "? ",
    "- ",
    "|",
    "!!int x",
    "<<",
    ":",
    "#",
    "\t",
]
TOKENS += [
    "for",
    "keep",
    "by",
    "on",
    "rows",
    "in",
    "x0",
    "m",
    "Z",
    "TM",
    "M/0",
    "(",
    "steps:",
    "body:",
    "order: overlap",
]
TOKENS += ["compute: Z on 1d", "stage: 2", "\u2028", "\x85", "%YAML 1.1\n---\n", "é", "T#2", "K0", "2*", "1d"]


def mutated(text: str, random: Random) -> str:
    for _ in range(random.choice([1, 1, 2, 5])):
        words = list(re.finditer(r"\S+", text))
        word = random.choice(words)
        new = random.choice([random.choice(TOKENS), "", random.choice(words)[0], f"{word[0]} {random.choice(TOKENS)}"])
        text = text[: word.start()] + new + text[word.end() :]
    return text


def test_a_mutated_file_is_read_or_refused_at_a_place(seed: int) -> None:
    workload, machine = Workload(parse(MATMUL)), load_architecture("systolic")
    extents = {"M": 300, "N": 77, "K": 5}
    outcomes = set()
    for number in range(random_count(3000)):
        random = Random(seed * 100_000 + number)
        text = mutated(random.choice(TEXTS), random)
        try:
            mapping = parse_mapping(text, "own.yaml")
        except MappingFileError as error:
            outcomes.add("refused")
            for it in error.diagnostics:
                assert it.message, f"case {number} of seed {seed}\n{text}"
                assert re.fullmatch(r"own\.yaml:\d+:\d+", str(it.span)), f"case {number} of seed {seed}\n{text}\n{it}"
            continue
        assert parse_mapping(to_yaml(mapping)) == mapping, f"case {number} of seed {seed}\n{text}"
        found = diagnostics(workload, machine, mapping, extents)
        assert all(is_placed(each, mapping.name) for each in found), f"case {number} of seed {seed}\n{text}\n{found}"
        outcomes.add("illegal" if found else "legal")
        if not found:
            # It may not fit, or take less than no time with these extents: a sentence says so.
            try:
                plan_mapping(workload, machine, [mapping], extents)
            except MappingError as error:
                assert isinstance(error, InfeasibleMappingError) or " must be at least 0 cycles" in str(error)
    assert outcomes == {"refused", "illegal", "legal"}


def test_a_mapping_of_nothing_known_is_told_so() -> None:
    workload, machine = Workload(parse(MATMUL)), load_architecture("systolic")
    text = "name: x\nsteps: [for q by R/0*1, keep U in v]\nbody: [W on x]"
    with pytest.raises(MappingFileError):
        parse_mapping(text)
    found = violations(workload, machine, parse_mapping(text.replace("R/0*1", "R/S")), {"M": 1, "N": 1, "K": 1})
    assert [sentence.split(" must")[0] for sentence in found] == [
        "Einsum 'Z'",
        "Einsum 'W'",
        "engine 'x' of Einsum 'W'",
        "the rank variable 'q' of 'for q by R/S'",
        "the tile of 'for q by R/S'",
        "the tile of 'for q by R/S'",
        "the level 'v' of 'keep U in v'",
        "'keep U in v'",
    ]
