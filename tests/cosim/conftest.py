"""Designs that tests build are kept in the checkout, so that a fresh one builds its own."""

import os
from pathlib import Path

os.environ.setdefault("EINSUM_CASCADE_CACHE", str(Path(__file__).parents[2] / "build" / "designs"))
