"""The published evaluation of FuseMax, row by row from its rules, and what an honest accounting changes.

The rest of the package is physically honest; what is peculiar to one paper is here and nowhere else.
"""

from einsum_cascade.reproduction.evaluation import Effect, Evaluation, effects, reproduce_fusemax
from einsum_cascade.reproduction.published import HEADLINES, QUIRKS, REFINEMENTS, Quirk

__all__ = [
    "HEADLINES",
    "QUIRKS",
    "REFINEMENTS",
    "Effect",
    "Evaluation",
    "Quirk",
    "effects",
    "reproduce_fusemax",
]
