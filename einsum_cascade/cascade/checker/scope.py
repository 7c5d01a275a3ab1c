"""What the checker knows while it works: names, and the mistakes found so far."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from einsum_cascade.cascade.extent import Extent, symbol
from einsum_cascade.cascade.inequality import is_nonnegative
from einsum_cascade.cascade.ir import Rank, Tensor
from einsum_cascade.cascade.operators import Operator, Registry
from einsum_cascade.cascade.partition import expanded
from einsum_cascade.cascade.relation import Relation
from einsum_cascade.errors import MOST_TOLD, Diagnostic, Span
from einsum_cascade.wording import did_you_mean, listed

__all__ = ["RESERVED", "Scope"]

_KEYWORDS = frozenset({"cascade", "operator", "rank", "input", "param", "tensor", "var", "output", "init", "where"})
_WORDS = frozenset({"and", "or", "not", "else", "inf", "pi", "topk", "argmax"})
RESERVED = _KEYWORDS | _WORDS


type Kind = Literal["rank", "tensor"]


@dataclass(slots=True)
class Scope:
    """Names in scope, and what is known of mistakes so that each is told once.

    A tensor that is None is defined, but wrongly: its reads are not complained about again. A doubtful rank has an
    extent that is wrong: nothing is said of what goes past it. Where an `init` has no equation, one that has no `init`
    may be the one that was meant.
    """

    operators: Registry
    ranks: dict[str, Rank] = field(default_factory=dict[str, Rank])
    variables: dict[str, str] = field(default_factory=dict[str, str])
    tensors: dict[str, Tensor | None] = field(default_factory=dict[str, Tensor | None])
    relations: list[Relation] = field(default_factory=list[Relation])
    missing_operators: set[str] = field(default_factory=set[str])
    used_ranks: set[str] = field(default_factory=set[str])
    used_variables: set[str] = field(default_factory=set[str])
    blamed: set[str] = field(default_factory=set[str])
    doubtful_ranks: set[str] = field(default_factory=set[str])
    has_lone_init: bool = False
    refused: Counter[str] = field(default_factory=Counter[str])
    absent: dict[Kind, tuple[int, list[str]]] = field(default_factory=dict[Kind, tuple[int, list[str]]])
    problems: list[Diagnostic] = field(default_factory=list[Diagnostic])
    told: set[Diagnostic] = field(default_factory=set[Diagnostic])

    def report(self, message: str, span: Span, about: str = "") -> None:
        """Note a mistake, once.

        Parameters
        ----------
        message, span
            What it is and where.
        about
            A name that is wrong wherever it stands: only the first mistake about it is told, since the others
            would follow from it.

        """
        diagnostic = Diagnostic(message, span)
        if about not in self.blamed and diagnostic not in self.told:
            self.problems.append(diagnostic)
            self.told.add(diagnostic)
        if about:
            self.blamed.add(about)

    def refuse(self, kind: Kind, message: str, span: Span, name: str) -> None:
        """Note a mistake in what defines a name: another name may then lack its definition, which is no second one."""
        if name not in self.blamed:
            self.refused[kind] += 1
        self.report(message, span, name)

    def report_missing(self, kind: Kind, message: str, span: Span, name: str) -> None:
        """Note that a name has no definition, unless one that was refused may have been meant for it.

        Names that are like no other are told together: what is missing is most often the line that declares them.
        """
        if name not in self.blamed and self.refused[kind]:
            self.refused[kind] -= 1
            self.blamed.add(name)
        what, rest = message[: len(kind) + 1 + len(repr(name))], message[len(kind) + 1 + len(repr(name)) :]
        if name in self.blamed or what != f"{kind} {name!r}" or "did you mean" in rest:
            self.report(message, span, name)
            return
        self.blamed.add(name)
        at, names = self.absent.setdefault(kind, (len(self.problems), []))
        names.append(name)
        if len(names) == 1:
            self.problems.append(Diagnostic(message, span))
            return
        joined = f"{kind}s {listed(names)}{rest}".replace("but never is", "but never are")
        self.problems[at] = Diagnostic(joined, self.problems[at].span)

    def hint(self, name: str, known: Iterable[str]) -> str:
        """Return `did_you_mean`, or nothing where the mistake is one of those that are only counted."""
        return did_you_mean(name, known) if len(self.problems) < MOST_TOLD else ""

    def default_rank(self, variable: str) -> str | None:
        """Return the rank that a variable belongs to because of its name, if exactly one does."""
        ranks = [name for name in self.ranks if name.lower() == variable]
        return ranks[0] if len(ranks) == 1 else None

    def known_variables(self) -> set[str]:
        """Return the rank variables that are bound or belong to a rank by their name."""
        return self.variables.keys() | {v for v in map(str.lower, self.ranks) if self.default_rank(v) is not None}

    def operator(self, name: str, span: Span) -> Operator | None:
        """Return an operator by name; report and return None if it is unknown."""
        found = self.operators.get(name)
        if found is None and name not in self.missing_operators:
            known = (known for known in self.operators if known.isidentifier())
            self.report(f"operator {name!r} is unknown{self.hint(name, known)}", span, name)
        return found

    def rank_of(self, variable: str) -> str | None:
        """Return the rank of a variable, bound or by default, and remember that it is used."""
        rank = self.variables.get(variable) or self.default_rank(variable)
        if rank is not None:
            self.variables[variable] = rank
            self.used_variables.add(variable)
            self.used_ranks.add(rank)
        return rank

    def is_doubtful(self, *ranks: str) -> bool:
        """Tell whether the extent of a rank hangs on one that is wrong."""
        names = frozenset(ranks).union(*(self.expand(symbol(rank)).names for rank in ranks))
        return not names.isdisjoint(self.doubtful_ranks)

    def expand(self, extent: Extent) -> Extent:
        """Write an extent over free ranks."""
        return expanded(extent, self.ranks)

    def is_nonnegative(self, extent: Extent, positive: frozenset[str] = frozenset()) -> bool:
        """Tell whether an extent is provably not negative, given the relations that are stated.

        Parameters
        ----------
        extent
            The extent.
        positive
            Free ranks that are at least 1.

        """
        facts = (self.expand(fact) for relation in self.relations for fact in relation.facts)
        return is_nonnegative(self.expand(extent), facts, positive)
