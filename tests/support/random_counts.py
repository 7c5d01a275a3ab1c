"""How many random cases a test runs, and from which seed.

Both are told by environment variables, so that they hold in every process of a run.
"""

import os
import secrets

__all__ = ["draw_seed", "mode", "random_count"]


def mode() -> str:
    """Name the mode of this run: `quick` (a tenth of the cases), `full` (all) or `nightly` (ten times all)."""
    name = os.environ.get("EINSUM_CASCADE_COUNTS", "quick")
    if name not in ("quick", "full", "nightly"):
        raise ValueError(f"EINSUM_CASCADE_COUNTS must be quick, full or nightly, not {name!r}")
    return name


def random_count(full: int, nightly: int | None = None) -> int:
    """Scale a test's full count of random cases to the mode of this run; ten times as many nightly if not told."""
    match mode():
        case "full":
            return full
        case "nightly":
            return 10 * full if nightly is None else nightly
        case _:
            return -(-full // 10)


def draw_seed() -> int:
    """Draw the seed of this run, unless EINSUM_CASCADE_SEED gives it or an earlier process of the run drew it."""
    return int(os.environ.setdefault("EINSUM_CASCADE_SEED", str(secrets.randbelow(2**32))))
