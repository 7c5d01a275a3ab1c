"""The slots of an exponential as docs/decisions/0006 words them, one rounding of gmpy2 each."""

import gmpy2
from gmpy2 import mpfr
from single_oracle import bits_of, number_of, unbounded

from einsum_cascade.array.numbers import Numbers

__all__ = ["by_the_contract", "rounded_once"]


def _piece(value: mpfr, part: str, bits: int) -> mpfr:
    with unbounded(precision=bits):
        high = +value
    with unbounded(precision=24):
        low = number_of(bits_of(value - high))
    with unbounded(precision=bits):
        return {"whole": value, "high": high, "low": +low}[part]


def rounded_once(a: mpfr, b: mpfr, c: mpfr) -> mpfr:
    return number_of(bits_of(gmpy2.fma(a, b, c)))


def by_the_contract(
    value: int, maximum: int, numbers: Numbers, scale: float = 1.0, limits: tuple[float, float] | None = None
) -> int:
    """The exponential of (value - maximum) * scale, before the rounding of a PE.

    `limits` are those of the difference and of the power of 2; they are 2^64 and 128 by the contract.
    """
    x, accumulated, n, p = mpfr(0), mpfr(0), mpfr(0), mpfr(0)
    most, power = map(mpfr, limits or (2.0**64, 128))
    with gmpy2.context(precision=100):
        exact = mpfr(scale) * gmpy2.log2(gmpy2.exp(mpfr(1)))
    with unbounded(precision=24):
        factor = +exact
    for slot in numbers.exponential_slots:
        step = numbers.steps[slot]
        with unbounded(precision=24):
            match step.kind:
                case "subtract":
                    x = number_of(bits_of(number_of(value) - number_of(maximum)))
                    x = max(-most, min(most, x))
                case "scale":
                    parts = _piece(factor, step.factor_part, numbers.operand_bits)
                    accumulated = rounded_once(_piece(x, step.value_part, numbers.score_bits), parts, accumulated)
                    if step.is_last:
                        accumulated = max(-power, min(power, accumulated))
                        n = gmpy2.rint(accumulated)
                        accumulated -= n
                case "horner":
                    p = number_of(step.leading_bits) if step.leading_bits else p
                    factors = _piece(p, "high", numbers.score_bits), _piece(accumulated, "high", numbers.operand_bits)
                    p = rounded_once(*factors, number_of(step.coefficient_bits))
    with unbounded(precision=24):
        return bits_of(p * mpfr(2) ** n)
