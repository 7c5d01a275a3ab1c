"""What is often asked of the array and is none of its works: how it is known, why it is refused, and what to do."""

from collections.abc import Callable
from dataclasses import dataclass

from einsum_cascade.cascade.ir import Apply, Constant, Einsum, Expression, Read, reads_of, walk

__all__ = ["REFUSALS", "Refusal", "refusal_of"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An Einsum that the array does not do.

    Parameters
    ----------
    name
        What it is.
    example
        As it is written.
    reason
        Why the array does not do it.
    remedy
        What to do, if it shall run on the array.
    applies
        Whether an Einsum is one.

    """

    name: str
    example: str
    reason: str
    remedy: str
    applies: Callable[[Einsum], bool]


def refusal_of(einsum: Einsum) -> Refusal | None:
    """Return the first refusal that applies to an Einsum; None if it is none of those that are often asked for."""
    return next((each for each in REFUSALS if each.applies(einsum)), None)


def _has(einsum: Einsum, *names: str) -> bool:
    return any(isinstance(node, Apply) and node.operator.name in names for node in walk(einsum.expression))


def _top(einsum: Einsum) -> tuple[str, tuple[Expression, ...]]:
    """Return the outermost operator and its arguments; nothing if there is none."""
    expression = einsum.expression
    return (expression.operator.name, expression.arguments) if isinstance(expression, Apply) else ("", ())


def _tensors(einsum: Einsum) -> frozenset[str]:
    return frozenset(read.tensor for read in reads_of(einsum.expression))


def _is_elementwise(einsum: Einsum) -> bool:
    """Tell whether there is no reduction, and no recurrence."""
    return einsum.reduction is None and all(index.plain is not None for index in einsum.indices)


def _is_sink(einsum: Einsum) -> bool:
    operator, arguments = _top(einsum)
    is_raised = any(isinstance(each, Apply) and each.operator.name in ("exp", "expsub") for each in arguments)
    return operator == "+" and is_raised and not _has(einsum, "max", "relu") and _is_elementwise(einsum)


def _is_rectified(einsum: Einsum) -> bool:
    operator, arguments = _top(einsum)
    return operator == "relu" or (operator == "max" and Constant(0) in arguments)


def _is_raised_alone(einsum: Einsum) -> bool:
    operator, arguments = _top(einsum)
    return operator == "exp" and len(_tensors(einsum)) == 1 and all(_is_scaled(each) for each in arguments)


def _is_scaled(expression: Expression) -> bool:
    """Tell whether an expression is one read, times numbers."""
    match expression:
        case Apply(operator, arguments) if operator.name in ("*", "/", "neg"):
            return all(map(_is_scaled, arguments))
        case Apply(_, arguments):
            return not [*reads_of(expression)] and all(map(_is_scaled, arguments))
        case _:
            return True


def _is_sum(einsum: Einsum) -> bool:
    operator, _ = _top(einsum)
    applied = {node.operator.name for node in walk(einsum.expression) if isinstance(node, Apply)}
    is_linear = applied <= {"+", "-", "*", "/", "neg"}
    return operator in ("+", "-") and len(_tensors(einsum)) > 1 and is_linear and _is_elementwise(einsum)


def _is_weighting(einsum: Einsum) -> bool:
    operator, arguments = _top(einsum)
    is_plain = all(isinstance(each, Read) for each in arguments)
    return operator == "*" and is_plain and len(_tensors(einsum)) > 1 and _is_elementwise(einsum)


def _is_over_several(einsum: Einsum) -> bool:
    return einsum.reduction is not None and len(einsum.reduction.variables) > 1 and _top(einsum)[0] == "*"


def _is_plain_sum(einsum: Einsum) -> bool:
    is_sum = einsum.reduction is not None and einsum.reduction.operator.name == "+"
    return is_sum and len(_tensors(einsum)) == 1


REFUSALS = (
    Refusal(
        "soft cap",
        "T[m, p] = c * tanh(S[m, p] / c)",
        "a PE has the slots of an exponential, a sigmoid and a feature map, and none of a tanh",
        "leave the cap out, or let the host do it",
        lambda einsum: _has(einsum, "tanh"),
    ),
    Refusal(
        "sink",
        "SD[p] = SS[p] + exp(C - GM[p])",
        "a lane adds what its column holds, and nothing from memory",
        "make the sink a key whose values are 0, with its score as one more operand of keys beside a 1 of the queries",
        _is_sink,
    ),
    Refusal(
        "relu attention",
        "W[m, p] = relu(S[m, p])",
        "a PE has the slots of an exponential, a sigmoid and a feature map, and none of a relu alone",
        "take the feature map relu(x) + exp(min(x, 0)) or a sigmoid, or let the host do it",
        _is_rectified,
    ),
    Refusal(
        "softmax without a maximum",
        "SN[m, p] = exp(S[m, p])",
        "a PE raises scores less their maximum alone, for others overflow",
        "take max over the keys off the scores: the quotient is the same",
        _is_raised_alone,
    ),
    Refusal(
        "bias on scores, or a residual",
        "T[m, p] = S[m, p] + B[m, p]",
        "a PE adds products of keys and queries, and nothing from memory",
        "make a bias of keys alone one more operand of the keys beside a 1 of the queries, or let the host do it",
        _is_sum,
    ),
    Refusal(
        "dropout, or another mask of weights",
        "SX[m, p] = SN[m, p] * D[m, p]",
        "a PE multiplies weights by values, and by nothing of its own",
        "leave dropout out, multiply the values by what is the same for all queries, or let the host do it",
        _is_weighting,
    ),
    Refusal(
        "product over several ranks",
        "O[d, p] = W[d, h, f] * AV[h, f, p]",
        "a product adds up one rank",
        "make one rank of them, AV[h*F + f, p] and O[d, p] = W[d, j] * AV[j, p], or let the host do it",
        _is_over_several,
    ),
    Refusal(
        "sum or mean, as of a norm",
        "MU[p] = X[e, p] / E",
        "the array adds up products and weights, and no tensor from memory",
        "let the host do it, or multiply by a tensor of ones",
        _is_plain_sum,
    ),
)
"""In the order in which they are tried."""
