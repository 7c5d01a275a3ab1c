"""The divisors of a number up to some bound, in steps that do not grow with the number.

Primes up to 10^6 are tried one by one. What is left has none of them, so that its divisors matter only to a bound that
is beyond 10^6 as well; their primes are looked for in a bounded number of steps. Where that does not find them, the
divisors that need them are left out.
"""

from collections.abc import Iterator

import sympy

__all__ = ["divisors_up_to", "largest_divisor"]

_MOST_TRIED = 10**6
_MOST_STEPS = 1 << 17
"""Of the search for one prime, which finds those up to 10^9 nearly always."""

_MOST_DOWN = 1 << 16
"""How many numbers are tried one by one from the bound down: where divisors are many, one is near."""

_MOST_DIVISORS = 1 << 20


def largest_divisor(number: int, most: int) -> int:
    """Return the largest divisor of a number that is not greater than `most`, both at least 1.

    Examples
    --------
    >>> largest_divisor(10**30, 1000), largest_divisor(10**30 + 57, 1000)
    (1000, 1)

    """
    if number <= most:
        return number
    near = range(most, max(0, most - _MOST_DOWN), -1)
    return next((each for each in near if number % each == 0), 0) or divisors_up_to(number, most)[-1]


def divisors_up_to(number: int, most: int) -> list[int]:
    """Return the divisors of a number that are not greater than `most`, in ascending order.

    Parameters
    ----------
    number
        At least 1.
    most
        The greatest divisor of interest. Of very many, the greatest ones are returned.

    Examples
    --------
    >>> divisors_up_to(10**30, 20)
    [1, 2, 4, 5, 8, 10, 16, 20]

    """
    found = [1] if most > 0 else []
    for prime in _primes(number, most):
        found = _with_multiples(found, prime, most)
    return found


def _with_multiples(found: list[int], prime: int, most: int) -> list[int]:
    """Return some divisors and their products with one more prime."""
    if not found or found[0] * prime > most:
        return found
    return sorted({*found, *(d * prime for d in found if d * prime <= most)})[-_MOST_DIVISORS:]


def _primes(number: int, most: int) -> Iterator[int]:
    """Yield primes of a number as often as they divide it, those that no divisor up to a bound needs left out."""
    rest, prime = number, 2
    while prime * prime <= rest and prime <= min(_MOST_TRIED, most):
        while rest % prime == 0:
            rest //= prime
            yield prime
        prime += 1 + (prime > 2)
    if rest <= most and prime * prime > rest > 1:
        yield rest
    elif rest > 1 and most > _MOST_TRIED:
        yield from _large_primes(rest, most)


def _large_primes(number: int, most: int) -> Iterator[int]:
    """Yield the parts that a number without small primes falls into within some steps; mostly, they are primes."""
    parts = [number]
    while parts:
        part = parts.pop()
        found = None if sympy.isprime(part) else _part_of(part)  # pyright: ignore[reportUnknownMemberType]
        if found is None:
            if part <= most:
                yield part
        else:
            parts += [found, part // found]


def _part_of(number: int) -> int | None:
    root = sympy.integer_nthroot(number, 2)[0]  # pyright: ignore[reportUnknownMemberType]
    if root * root == number:
        return root
    return sympy.pollard_rho(number, max_steps=_MOST_STEPS, retries=1)  # pyright: ignore[reportUnknownMemberType]
