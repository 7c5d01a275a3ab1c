"""One name, one thing: names of classes and of files in the package; the words of its names are explained."""

import dataclasses
import importlib
import pkgutil
import re
from collections import Counter
from pathlib import Path

import einsum_cascade

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "einsum_cascade"

# What every language of files has: the checked values, their reader, reading and writing, what comes with the package.
PARALLEL = {"__init__", "ir", "reader", "codec", "presets"}


def several(names: list[str]) -> set[str]:
    return {name for name, count in Counter(names).items() if count > 1}


def test_no_classes_share_a_name() -> None:
    texts = (path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    assert several([name for text in texts for name in re.findall(r"^class ([A-Z]\w*)", text, re.MULTILINE)]) == set()


def test_no_files_share_a_name() -> None:
    assert several([path.stem for path in PACKAGE.rglob("*.py")]) == PARALLEL


# Words of the public names that mean what a dictionary says, or what mathematics or NumPy does.
EVERYDAY_WORDS = """
1 2 about abs absolute add all analyse area attention audited average beyond build builder by byte clamp column
compared comparison cos counted d depend depth descending doubt drawing drawn dtype effect elsewhere error
evaluate evaluation exp expsub file flight floor found gap gelu geometric given greatest handed header heading
if in inf input is kept key length limit linear list load log mark max maximum mean memory minimum mismatched
multiply name nan need not note number obstacle occupied on option our output overflowed parse part per
pipelined pj published random ratio read reason rel relu repeat resolve resource right rounded rsqrt rtl run s
saturate scheduled second seed select sentence seq shape sigmoid simulation sin sqrt square staged start strict
sum tanh text through time title total um unit unknown util value verilator waiting wave way what where without
word zero
"""
EVERYDAY = {*EVERYDAY_WORDS.split()}


def singular(word: str) -> str:
    if len(word) < 4 or (word.endswith("ss") and not word.endswith("sses")):
        return word
    return word.removesuffix("es" if word.endswith("sses") else "s")


def words_of(name: str) -> set[str]:
    return {singular(word.lower()) for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", name)}


def glossary() -> set[str]:
    """What the first column explains, word by word."""
    rows = (ROOT / "GLOSSARY.md").read_text(encoding="utf-8").splitlines()
    terms = [row.split("|")[1] for row in rows if row.startswith("| ")][1:]
    return {singular(word.lower()) for term in terms for word in re.findall(r"[A-Za-z]+", term)}


def public_names() -> set[str]:
    """What the package exports, and reports with their fields."""
    study = importlib.import_module("einsum_cascade.study")
    reports = [
        importlib.import_module(f"{study.__name__}.{each.name}") for each in pkgutil.iter_modules(study.__path__)
    ]
    classes = [
        each
        for module in reports
        for each in vars(module).values()
        if isinstance(each, type) and each.__module__ == module.__name__ and not each.__name__.startswith("_")
    ]
    fields = (field.name for each in classes if dataclasses.is_dataclass(each) for field in dataclasses.fields(each))
    return (
        {name for name in dir(einsum_cascade) if not name.startswith("_")} | {c.__name__ for c in classes} | {*fields}
    )


def test_words_of_public_names_are_everyday_or_explained() -> None:
    known = glossary() | EVERYDAY
    unknown = {name: words for name in sorted(public_names()) if (words := words_of(name) - known)}
    assert not unknown


def test_everyday_words_are_used() -> None:
    assert EVERYDAY - {word for name in public_names() for word in words_of(name)} == set()
    assert EVERYDAY & glossary() == set()


def test_explained_words_are_used() -> None:
    """In code or in its documentation."""
    texts = [path.read_text(encoding="utf-8") for path in (*PACKAGE.rglob("*.py"), *(ROOT / "docs").rglob("*.md"))]
    used = {singular(word.lower()) for text in texts for word in re.findall(r"[A-Za-z]+", text.replace("_", " "))}
    used |= {word for text in texts for name in re.findall(r"\w+", text) for word in words_of(name)}
    assert glossary() - used == set()
