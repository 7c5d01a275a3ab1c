"""The list of the zoo, and what holds for every cascade in it."""

import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from einsum_cascade import zoo
from einsum_cascade.cascade import parse

ARXIV = re.compile(r"arXiv \d{4}\.\d{5}")


def test_names_are_unique_and_listed_with_title_and_citation() -> None:
    assert len({*zoo.names()}) == len(zoo.names())
    for entry in zoo.entries():
        assert entry.title, entry.name
        assert ARXIV.search(entry.citation), entry.name


def test_unknown_name_is_refused_with_the_nearest_ones() -> None:
    with pytest.raises(
        ValueError, match=r"^cascade 'atention' must be in the zoo, but is not; did you mean 'attention' or '"
    ):
        zoo.load("atention")


def test_strange_name_is_refused_with_the_list() -> None:
    with pytest.raises(
        ValueError,
        match=r"^cascade 'qqq' must be in the zoo, but is not; known are 'attention', .*, 'softmax'$",
    ):
        zoo.load("qqq")


def test_listing_imports_no_family() -> None:
    program = (
        "import sys; from einsum_cascade import zoo; zoo.names(); print(*(m for m in sys.modules if '.zoo.' in m))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""


@pytest.mark.parametrize("name", zoo.names())
def test_cascade_is_named_like_its_entry(name: str) -> None:
    assert zoo.load(name).name == name.replace("-", "_")


@pytest.mark.parametrize("name", zoo.names())
def test_documentation_cites_a_source(name: str) -> None:
    documentation = zoo.load(name).documentation
    assert ARXIV.search(documentation)
    # The first line is a sentence that can stand in a listing.
    first, *rest = documentation.splitlines()
    assert first.endswith(".")
    assert not rest or not rest[0]


@pytest.mark.parametrize("name", zoo.names())
def test_text_form_is_the_golden_one_and_parses_back(name: str, golden: Callable[[str, str], None]) -> None:
    cascade = zoo.load(name)
    golden(f"zoo/{name}", f"{cascade}\n")
    again = parse(str(cascade))
    assert again == cascade
    assert str(again) == str(cascade)


@pytest.mark.parametrize("name", zoo.names())
def test_cascade_has_latex_and_html(name: str) -> None:
    cascade = zoo.load(name)
    latex, html = cascade._repr_latex_(), cascade._repr_html_()
    for tensor in cascade.outputs:
        assert tensor in latex
        assert tensor in html
