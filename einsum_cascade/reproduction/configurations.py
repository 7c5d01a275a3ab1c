"""The published configurations as mappings of a cascade onto an architecture, for the general cost engine."""

from dataclasses import dataclass

from einsum_cascade.reproduction.workloads import LENGTHS, MODELS, PublishedWorkload

__all__ = ["CONFIGURATIONS", "Configuration", "extents_of", "workload_of"]


@dataclass(frozen=True, slots=True)
class Configuration:
    """A published configuration.

    Parameters
    ----------
    name
        Its name.
    cascade
        The zoo's name of what it computes.
    architecture
        The preset that it runs on.
    mappings
        The preset mappings that it chooses between, in order of preference.

    """

    name: str
    cascade: str
    architecture: str
    mappings: tuple[str, ...]


CONFIGURATIONS = {
    configuration.name: configuration
    for configuration in (
        Configuration("unfused", "attention", "flat-cloud", ("unfused",)),
        Configuration("flat", "attention", "flat-cloud", ("flat-on-chip", "flat-off-chip")),
        Configuration("cascade", "attention-1pass", "flat-cloud", ("cascade",)),
        Configuration("architecture", "attention-1pass", "fusemax-cloud", ("architecture",)),
        Configuration("binding", "attention-1pass", "fusemax-cloud", ("binding",)),
    )
}
"""The published configurations by name."""


def workload_of(model: str, seq: str) -> PublishedWorkload:
    """Return a model at a length.

    Raises
    ------
    ValueError
        One of them is not known.

    """
    if model not in MODELS:
        raise ValueError(f"a model must be one of {', '.join(MODELS)}, not {model!r}")
    if seq not in LENGTHS:
        raise ValueError(f"a length must be one of {', '.join(LENGTHS)}, not {seq!r}")
    return PublishedWorkload(MODELS[model], seq)


def extents_of(workload: PublishedWorkload, tile: int) -> dict[str, int]:
    """Return the extents of a workload's attention: heads ride along, keys are taken in tiles of an array's height."""
    return {
        "E": workload.head,
        "F": workload.head,
        "M": workload.tokens,
        "P": workload.tokens,
        "M0": min(tile, workload.tokens),
    }
