"""Designs that tests build are kept in the checkout, so that a fresh one builds its own."""

import os
from pathlib import Path

from random_counts import mode

os.environ.setdefault("EINSUM_CASCADE_CACHE", str(Path(__file__).parents[2] / "build" / "designs"))

# One design per size in `make test`; the others take minutes to build.
collect_ignore = ["test_designs.py"] if mode() == "quick" else []
