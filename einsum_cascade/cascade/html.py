"""HTML of a cascade, for notebooks: the equations, then the ranks and the tensors."""

from html import escape

from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.ir import Cascade, Tensor
from einsum_cascade.cascade.renderer import Renderer

__all__ = ["to_html"]

_SIGNS = {"+": "+", "-": "&minus;", "*": "&times;", "/": "/"}
_COMPARISONS = {"<": "&lt;", "<=": "&le;", ">": "&gt;", ">=": "&ge;", "==": "=", "!=": "&ne;"}


class _Html(Renderer):
    def constant(self, name: str) -> str:
        return {"inf": "&infin;", "pi": "&pi;"}[name]

    def name(self, name: str) -> str:
        return f"<i>{escape(name)}</i>"

    def access(self, tensor: str, indices: tuple[Affine, ...]) -> str:
        subscript = f"<sub>{escape(', '.join(map(str, indices)))}</sub>" if indices else ""
        return f"<i>{escape(tensor)}</i>{subscript}"

    def infix(self, operator: str, left: str, right: str) -> str:
        return f"{left} {_SIGNS[operator]} {right}"

    def comparison(self, operator: str, left: str, right: str) -> str:
        return f"{left} {_COMPARISONS[operator]} {right}"

    def call(self, name: str, arguments: list[str]) -> str:
        return f"{escape(name)}({', '.join(arguments)})"

    def reduction(self, name: str, variables: tuple[str, ...], body: str) -> str:
        return f"{escape(name)}<sub>{escape(', '.join(variables))}</sub> ({body})"


def to_html(cascade: Cascade) -> str:
    """Return a self-contained fragment."""
    renderer = _Html()
    sides = [renderer.equation(einsum) for einsum in cascade.einsums]
    rows = "".join(f"<tr><td>{left}</td><td>=</td><td>{right}</td></tr>" for left, right in sides)
    documentation = f"<p>{escape(cascade.documentation)}</p>" if cascade.documentation else ""
    return (
        f"<div><b>cascade {escape(cascade.name)}</b>{documentation}<table>{rows}</table>"
        f"<p>ranks: {_ranks(cascade)}{_relations(cascade)}; inputs: {_tensors(cascade.inputs)}; "
        f"outputs: {_tensors(tuple(cascade.tensor[name] for name in cascade.outputs))}</p></div>"
    )


def _ranks(cascade: Cascade) -> str:
    def described(name: str) -> str:
        default = cascade.rank[name].alias_of or cascade.rank[name].extent
        return f"<i>{escape(name)}</i>" + (f" = {escape(str(default))}" if default is not None else "")

    return ", ".join(described(rank.name) for rank in cascade.ranks)


def _relations(cascade: Cascade) -> str:
    return f", where {escape(', '.join(map(str, cascade.relations)))}" if cascade.relations else ""


def _tensors(tensors: tuple[Tensor, ...]) -> str:
    return ", ".join(
        f"<i>{escape(tensor.name)}</i>[{escape(', '.join(d.rank for d in tensor.dimensions))}]" for tensor in tensors
    )
