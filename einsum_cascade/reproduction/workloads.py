"""The models and lengths of the evaluation: one encoder layer of self-attention, and its matrix products."""

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["BATCH", "LENGTHS", "MODELS", "Model", "PublishedWorkload", "workloads"]

BATCH = 64
"""Sequences that run together."""

LENGTHS = {"1K": 1 << 10, "4K": 1 << 12, "16K": 1 << 14, "64K": 1 << 16, "256K": 1 << 18, "1M": 1 << 20}
"""Tokens of a sequence, by name."""


@dataclass(frozen=True, slots=True)
class Model:
    """A transformer.

    Parameters
    ----------
    name
        Its name.
    embedding
        Elements of an embedded token: D.
    head
        Elements of a query, a key and a value: E and F.
    heads
        Number of heads: H.
    hidden
        Elements in the middle of the feed-forward network: S.

    """

    name: str
    embedding: int
    head: int
    heads: int
    hidden: int


MODELS = {
    model.name: model
    for model in (
        Model("BERT", 768, 64, 12, 3072),
        Model("TrXL", 1024, 64, 16, 4096),
        Model("T5", 512, 64, 8, 2048),
        Model("XLM", 2048, 128, 16, 8192),
    )
}
"""The models by name."""


@dataclass(frozen=True, slots=True)
class PublishedWorkload:
    """A model at a length.

    Parameters
    ----------
    model
        The model.
    seq
        Name of the length.

    """

    model: Model
    seq: str

    @property
    def tokens(self) -> int:
        """Keys, and queries, of a sequence: M and P."""
        return LENGTHS[self.seq]

    @property
    def head(self) -> int:
        """Elements of a query, a key and a value: E and F."""
        return self.model.head

    @property
    def heads(self) -> int:
        """Heads of the whole batch."""
        return BATCH * self.model.heads

    @property
    def products(self) -> tuple[tuple[int, int], ...]:
        """Columns and reduced elements of the matrix products of a layer: K x N each, with BATCH * tokens rows."""
        d, s = self.model.embedding, self.model.hidden
        return ((d, d),) * 4 + ((d, s), (s, d))


def workloads() -> Iterator[PublishedWorkload]:
    """Yield all models at all lengths."""
    return (PublishedWorkload(model, seq) for model in MODELS.values() for seq in LENGTHS)
