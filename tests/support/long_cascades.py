"""Cascades of many Einsums."""

__all__ = ["blocks", "chain_of_maps"]


def chain_of_maps(length: int) -> str:
    """Return the text of a chain of so many Einsums, each of which maps what the one before it made."""
    lines = [f"X{n}[m, p] = exp(X{n - 1}[m, p])" for n in range(1, length + 1)]
    return "\n".join(["cascade chain", "rank M, P", "input X0[m:M, p:P]", *lines, f"output X{length}", ""])


def blocks(count: int, *, is_normalised: bool = True) -> str:
    """Return the text of blocks of a small transformer: what is normalised, its queries and keys, attention, a sum.

    Where nothing is normalised, blocks are maps and the sum: nothing waits for a whole fiber.
    """
    weights = [f"{name}{n}[e:E, d:D]" for n in range(count * is_normalised) for name in ("WQ", "WK", "WV")]
    ranks = "M, P = M, D, E" if is_normalised else "M, D"
    lines = ["cascade blocks", f"rank {ranks}", f"input {', '.join(['X0[m:M, d:D]', *weights])}"]
    for n in range(count):
        lines += _block(n) if is_normalised else _plain_block(n)
    return "\n".join([*lines, f"output X{count}", ""])


def _block(n: int) -> list[str]:
    return [
        f"S{n}[m] = sum[d](X{n}[m, d])",
        f"C{n}[m, d] = X{n}[m, d] - S{n}[m] / D",
        f"Q{n}[e, p] = C{n}[p, d] * WQ{n}[e, d]",
        f"K{n}[e, m] = C{n}[m, d] * WK{n}[e, d]",
        f"QK{n}[m, p] = Q{n}[e, p] * K{n}[e, m]",
        f"GM{n}[p] = max[m](QK{n}[m, p])",
        f"SN{n}[m, p] = exp(QK{n}[m, p] - GM{n}[p])",
        f"SD{n}[p] = sum[m](SN{n}[m, p])",
        f"V{n}[e, m] = C{n}[m, d] * WV{n}[e, d]",
        f"AV{n}[e, p] = SN{n}[m, p] * V{n}[e, m]",
        f"O{n}[m, d] = AV{n}[e, m] / SD{n}[m] * WQ{n}[e, d]",
        f"X{n + 1}[m, d] = X{n}[m, d] + O{n}[m, d]",
    ]


def _plain_block(n: int) -> list[str]:
    return [
        f"A{n}[m, d] = exp(X{n}[m, d])",
        f"B{n}[m, d] = A{n}[m, d] * X{n}[m, d]",
        f"C{n}[m, d] = relu(B{n}[m, d]) + B{n}[m, d]",
        f"O{n}[m, d] = C{n}[m, d] * A{n}[m, d]",
        f"X{n + 1}[m, d] = X{n}[m, d] + O{n}[m, d]",
    ]
