"""LaTeX of a cascade, for papers and notebooks."""

from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.ir import Cascade
from einsum_cascade.cascade.renderer import PRODUCT, Renderer

__all__ = ["to_latex"]

_SIGNS = {"+": "+", "-": "-", "*": r"\times"}
_COMPARISONS = {"<": "<", "<=": r"\le", ">": ">", ">=": r"\ge", "==": "=", "!=": r"\ne"}
_CONNECTIVES = {"and": r"\;\wedge\;", "or": r"\;\vee\;"}
_FUNCTIONS = frozenset({"max", "min", "exp", "log", "sin", "cos", "tanh"})
_REDUCTIONS = {"sum": r"\sum", "prod": r"\prod", "max": r"\max", "min": r"\min"}


class _Latex(Renderer):
    reduced_level = PRODUCT

    def constant(self, name: str) -> str:
        return {"inf": r"\infty", "pi": r"\pi"}[name]

    def name(self, name: str) -> str:
        head, digits = name.rstrip("0123456789"), name[len(name.rstrip("0123456789")) :]
        base = head if len(head) == 1 else rf"\mathit{{{_escaped(head)}}}"
        return f"{base}_{{{digits}}}" if digits else base

    def access(self, tensor: str, indices: tuple[Affine, ...]) -> str:
        name = rf"\mathit{{{_escaped(tensor)}}}" if len(tensor) > 1 else tensor
        return f"{name}_{{{', '.join(_index(index) for index in indices)}}}" if indices else name

    def infix(self, operator: str, left: str, right: str) -> str:
        return rf"\frac{{{left}}}{{{right}}}" if operator == "/" else f"{left} {_SIGNS[operator]} {right}"

    def comparison(self, operator: str, left: str, right: str) -> str:
        return f"{left} {_COMPARISONS[operator]} {right}"

    def connective(self, word: str) -> str:
        return f" {_CONNECTIVES[word]} "

    def negation(self, predicate: str) -> str:
        return rf"\neg\left({predicate}\right)"

    def call(self, name: str, arguments: list[str]) -> str:
        if name == "exp":
            return f"e^{{{arguments[0]}}}"
        if name == "expsub":
            return f"e^{{{arguments[0]} - {arguments[1]}}}"
        if name == "sqrt":
            return rf"\sqrt{{{arguments[0]}}}"
        return rf"{_function(name)}\left({', '.join(arguments)}\right)"

    def reduction(self, name: str, variables: tuple[str, ...], body: str) -> str:
        head = _REDUCTIONS.get(name, rf"\operatorname*{{{_escaped(name)}}}")
        return rf"{head}_{{{', '.join(map(self.name, variables))}}} {body}"

    def filter(self, predicate: str) -> str:
        return rf" \quad\text{{where }} {predicate}"

    def otherwise(self, value: str) -> str:
        return rf" \;\text{{else }} {value}"


def to_latex(cascade: Cascade) -> str:
    """Return the equations as an `aligned` block in display mathematics."""
    renderer = _Latex()
    sides = (renderer.equation(einsum) for einsum in cascade.einsums)
    lines = (rf"{left} &= {right}" for left, right in sides)
    body = " \\\\\n".join(lines)
    return f"$$\\begin{{aligned}}\n{body}\n\\end{{aligned}}$$"


def _escaped(name: str) -> str:
    return name.replace("_", r"\_")


def _function(name: str) -> str:
    return rf"\{name}" if name in _FUNCTIONS else rf"\operatorname{{{_escaped(name)}}}"


def _index(index: Affine) -> str:
    """Write an index; `m1*M0` without the star."""
    return _escaped(str(index)).replace("*", r"\,")
