"""Random cascades as text, small enough to evaluate point by point.

What is drawn may break a rule of the language; the caller drops what the checker refuses. Divisors are sums or maxima
of positive numbers, so that they are zero only where they are reductions over nothing.
"""

import math
import random

import numpy as np

from einsum_cascade.cascade.operators import OPERATORS, register

__all__ = ["operators", "random_cascade", "random_tensors"]

RANKS = {"a": "A", "i": "A", "b": "B", "j": "B", "c": "C", "k": "C", "t": "T1", "u": "T0"}
HEADER = """rank A, B, C, T0 = {t0}
rank T1 = C / T0
rank L = A + B + 1
var a, i : A
var b, j : B
var c, k : C
var t : T1
var u : T0
var l : L
input X[a, b], Y[b, c], Z[c], W[l], LEN[b], G[a, b, c], V[t, u]
"""
INPUTS = {
    "X": ["A", "B"],
    "Y": ["B", "C"],
    "Z": ["C"],
    "W": ["L"],
    "G": ["A", "B", "C"],
    "V": ["T1", "T0"],
    "LEN": ["B"],
}


def operators():
    """The built-in operators, a ufunc that reduces, a Python function that reduces, and one that fails on 0."""
    registry = OPERATORS.copy()
    register("lse", np.logaddexp, registry=registry, is_associative=True, is_commutative=True, identity=-math.inf)
    register(
        "plus",
        lambda a, b: a + b,
        2,
        registry=registry,
        is_associative=True,
        is_commutative=True,
        identity=0.0,
    )
    register("picky", np.frompyfunc(_picky, 1, 1), 1, registry=registry)
    return registry


def _picky(x):
    return math.log(abs(x) + 1) if x != 0 else 0.25


def random_tensors(shapes, seed, *, is_wild=False):
    """Small multiples of 1/4; `is_wild` adds infinities and NaN."""
    generator = np.random.default_rng(seed)
    tensors = {}
    for name, shape in shapes.items():
        if name == "LEN":
            tensors[name] = generator.integers(0, 4, shape)
            continue
        tensors[name] = generator.integers(-8, 9, shape) / 4
        if is_wild:
            kind = generator.integers(0, 12, shape)
            tensors[name] = np.where(kind == 0, np.inf, np.where(kind == 1, np.nan, tensors[name]))
    return tensors


class _Writer:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lines = []
        self.tensors = dict(INPUTS)  # name -> ranks; a generational rank is written "A+"
        self.positive = []
        self.count = 0

    # pieces

    def chance(self, probability):
        return self.random.random() < probability

    def name(self):
        self.count += 1
        return f"R{self.count}"

    def index(self, rank, names, guards):
        """An index into a rank from variables in `names`; what must hold for it goes to `guards`."""
        pick = self.random.choice
        if rank.endswith("+"):
            rank = rank[:-1]
            mine = [v for v in names if RANKS[v] == rank]
            return pick([*mine, *[f"{v} + 1" for v in mine], rank, "0"]) if mine else pick([rank, rank, "0"])
        mine = [v for v in names if RANKS.get(v) == rank]
        if rank == "L":
            firsts, seconds = [v for v in names if RANKS[v] == "A"], [v for v in names if RANKS[v] == "B"]
            if not firsts or not seconds:
                return None
            return f"{pick(firsts)} + {pick(seconds)}"
        if rank == "C" and self.chance(0.4) and {"t", "u"} <= set(names):
            return "t*T0 + u"
        if not mine:
            return "t*T0 + u" if rank == "C" and {"t", "u"} <= set(names) else None
        variable = pick(mine)
        kind = self.random.random()
        if kind < 0.75:
            return variable
        if kind < 0.83:
            return f"{rank} - 1 - {variable}"
        shift = pick(["+ 1", "- 1", "+ 2"])
        guard = f"{variable} {shift} < {rank}" if shift[0] == "+" else f"{variable} >= 1"
        guards.append(guard if self.chance(0.9) else f"{variable} != 77")
        return f"{variable} {shift}"

    def read(self, names, guards, choices=None):
        """A read with variables from `names`, or None."""
        candidates = list(choices or self.tensors)
        self.random.shuffle(candidates)
        if not choices:
            candidates.sort(key=lambda name: name not in list(self.tensors)[-4:] or self.chance(0.5))
        for tensor in candidates[:6]:
            found = []
            indices = [self.index(rank, names, found) for rank in self.tensors[tensor]]
            if None not in indices:
                guards += found
                return f"{tensor}[{', '.join(indices)}]"
        return None

    def expression(self, names, guards, depth=2):
        pick = self.random.choice
        if depth == 0 or self.chance(0.35):
            kind = self.random.random()
            if kind < 0.8 and (found := self.read(names, guards)):
                return found
            return pick(["2", "0.5", "A", *names]) if kind < 0.97 else "inf"
        one = self.expression(names, guards, depth - 1)
        kind = self.random.random()
        if kind < 0.3:
            return f"{pick(['tanh', 'abs', 'relu', 'sigmoid', 'square', 'picky', 'tanh'])}({one})"
        if kind < 0.38 and self.positive and (divisor := self.read(names, guards, self.positive)):
            return f"{one} / {divisor}"
        two = self.expression(names, guards, depth - 1)
        if kind < 0.65:
            return f"{one} * {two}"
        return f"({one} {pick('+-')} {two})" if kind < 0.85 else f"{pick(['max', 'min', 'expsub'])}({one}, tanh({two}))"

    def product(self, names, guards):
        reads = [self.read(names, guards) for _ in range(self.random.choice([1, 2, 2, 3]))]
        return " * ".join(found for found in reads if found) or None

    def predicate(self, names, depth=1):
        pick = self.random.choice
        if not names:
            return None
        if depth and self.chance(0.3):
            one, two = self.predicate(names, 0), self.predicate(names, 0)
            return pick([f"{one} and {two}", f"({one} or {two})", f"not {one}"])
        variable = pick(names)
        if self.chance(0.25) and (lengths := [v for v in names if RANKS[v] == "B"]):
            return f"{variable} < LEN[{pick(lengths)}]"
        other = pick([*names, "1", "2", "1", "LEN[j]" if "j" in names else "2"])
        if other == variable:
            other = "2"
        return f"{variable} {pick(['<', '<=', '>', '>=', '!=', '=='])} {other}"

    def tail(self, left, body, guards, *, is_filtered=0.4):
        """The filter and the `else` of an equation whose text is known."""
        used = [v for v in RANKS if any(v in _words(text) for text in (left, body))]
        guards = list(guards)
        if self.chance(is_filtered) and (own := self.predicate(used)):
            guards.append(own)
        self.random.shuffle(guards)
        if not guards:
            return ""
        text = " where " + " and ".join(guards)
        if self.chance(0.35):
            inner = []
            value = self.read([v for v in RANKS if v in _words(left)], inner) if self.chance(0.4) else None
            text += f" else {value if value and not inner else self.random.choice(['0', '1.5', '-inf'])}"
        return text

    # equations

    def left_names(self, at_most=3):
        groups = [["a", "i"], ["b", "j"], ["c", "k"], ["t"], ["u"]]
        chosen = self.random.sample(groups, self.random.randint(0, at_most))
        return [self.random.choice(group) for group in chosen]

    def equation(self):
        left = self.left_names()
        extra = [v for v in self.random.sample(list(RANKS), self.random.randint(0, 3)) if v not in left]
        guards = []
        kind = self.random.random()
        is_positive = False
        if kind < 0.3 and (body := self.product(left + extra, guards)):
            body = self.random.choice(["", "", "-"]) + body + self.random.choice(["", "", " / sqrt(A)", " * (B - 7)"])
            missing = [v for v in _words(body) if v in RANKS and v not in left]
        else:
            body = self.expression(left + extra, guards)
            missing = [v for v in _words(body) if v in RANKS and v not in left]
            missing += self.counted(left, _words(body), guards)
            if missing:
                if self.chance(0.4):
                    body, is_positive = f"abs({body}) + 0.5", True
                operator = self.random.choice(["sum", "sum", "max", "min", "prod", "lse", "plus"])
                is_positive = is_positive and operator in ("sum", "max")
                body = f"{operator}[{', '.join(dict.fromkeys(missing))}]({body})"
        name = self.name()
        text = f"{name}[{', '.join(left)}] = {body}"
        self.lines.append(text + self.tail(", ".join(left), body, guards))
        self.tensors[name] = [RANKS[v] for v in left]
        if is_positive:
            self.positive.append(name)

    def counted(self, left, occurring, guards):
        """A variable that only the filter mentions: the reduction counts the points that pass."""
        idle = [v for v in RANKS if v not in left and v not in occurring]
        if not idle or not self.chance(0.15):
            return []
        variable = self.random.choice(idle)
        guards.append(
            f"{variable} {self.random.choice(['<', '<=', '>=', '!='])} {self.random.choice([*left, '1', '2'])}"
        )
        return [variable]

    def declared(self):
        """A tensor over L that two equations write, with or without a hole, or one written tile by tile."""
        name = self.name()
        if self.chance(0.3):
            self.lines += [f"tensor {name}[c]", f"{name}[t*T0 + u] = {self.expression(['t', 'u'], [], 1)} + t*0 + u*0"]
            self.tensors[name] = ["C"]
            return
        self.lines.append(f"tensor {name}[l, c]")
        first, second = self.random.choice([("a", "A + b"), ("a", "A + b + 1"), ("0", "b + 1"), ("b", "B + a")])
        for place in (first, second):
            names = [*(v for v in _words(place) if v in RANKS), "c"]
            guards = []
            body = self.expression(names, guards, 1)
            self.lines.append(f"{name}[{place}, c] = {body}{self.tail(', '.join(names), body, guards)}")
        self.tensors[name] = ["L", "C"]

    def recurrence(self):
        """Iterative tensors over one variable that read one another, with pointwise equations between them."""
        pick = self.random.choice
        variable = pick(["a", "b", "t"])
        rank, step = RANKS[variable], pick([1, 1, 1, 2])
        others = [v for v in self.left_names(2) if RANKS[v] != rank]
        names = [self.name() for _ in range(pick([1, 1, 2, 2, 3]))]
        place = self.random.randint(0, len(others))
        sides = {name: list(others if self.chance(0.7) else others[:1]) for name in names}
        for name in names:
            for generation in range(step):
                guards = []
                body = pick(["0", "-inf", "1", "0.5"])
                if self.chance(0.3):
                    body = self.expression(sides[name], guards, 1) if sides[name] else "2"
                indices = _inserted(sides[name], place, str(generation))
                tail = self.tail(", ".join(sides[name]), body, guards, is_filtered=0.1)
                self.lines.append(f"init {name}[{indices}] = {body}{tail}")
        written, local = [], {}
        for name in [found for n in names for found in ([None, n] if self.chance(0.6) else [n])]:
            left = others if name is None else sides[name]
            terms = [
                self.running(n, sides, place, variable, step, n in written) for n in names if set(sides[n]) <= set(left)
            ]
            terms = [(text, []) for text in terms]
            terms += [self.earlier(n, o, place, variable) for n, o in local.items() if set(o) <= set(left)]
            own = []
            terms.append((self.expression([*left, variable], own, 1), own))
            chosen = self.random.sample(terms, min(len(terms), pick([1, 2, 2, 3])))
            body, guards = self.combined([text for text, _ in chosen]), [g for _, found in chosen for g in found]
            extra = [v for v in _words(body) if v in RANKS and v not in (*left, variable)]
            if extra:
                body = f"sum[{', '.join(dict.fromkeys(extra))}]({body})"
            if name is None:
                local[pointwise := self.name()] = list(left)
                text = f"{pointwise}[{_inserted(left, place, variable)}] = {body}"
            else:
                written.append(name)
                text = f"{name}[{_inserted(left, place, f'{variable} + {step}')}] = {body}"
            self.lines.append(text + self.tail(", ".join([*left, variable]), body, guards, is_filtered=0.2))
        for name in names:
            self.tensors[name] = _with(list(map(RANKS.get, sides[name])), place, f"{rank}+")
        for name, left in local.items():
            self.tensors[name] = _with(list(map(RANKS.get, left)), place, rank)

    def running(self, name, sides, place, variable, step, is_written):
        offsets = list(range(step)) + ([step] if is_written else [])
        offset = self.random.choice(offsets)
        index = variable if offset == 0 else f"{variable} + {offset}"
        return f"{name}[{_inserted(sides[name], place, index)}]"

    def earlier(self, name, names, place, variable):
        """A pointwise tensor of the loop: now, one round ago, or at all rounds so far."""
        kind, other = self.random.random(), {"a": "i", "b": "j"}.get(variable)
        index, guards = variable, []
        if kind < 0.25:
            guards.append(f"{variable} >= 1")
            index = f"{variable} - 1"
        elif kind < 0.5 and other:
            guards.append(f"{other} {self.random.choice(['<=', '<=', '<'])} {variable}")
            index = other
        return f"{name}[{_inserted(names, place, index)}]", guards

    def combined(self, terms):
        text = terms[0]
        for term in terms[1:]:
            operator = self.random.choice(["+", "+", "max", "*", "-", "min"])
            text = f"{operator}({text}, {term})" if operator.isalpha() else f"{text} {operator} {term}"
        return text

    def softmax(self):
        """Scores, their sum and quotients, at once or as a recurrence over tiles; rows may have no score at all."""
        scores, weights, total, result = (self.name() for _ in range(4))
        guards = []
        body = self.expression(["b", "c"], guards, 1)
        own = self.random.choice(["c < LEN[b]", "c < LEN[b]", "c <= b", "c > b and c < LEN[b]", "b >= 0"])
        other = self.random.choice(
            ["", " where b < 2", " where LEN[b] > 0 else 0", " where c >= 1 else 1.5", " where c <= b"]
        )
        self.lines += [
            f"{scores}[b, c] = tanh({body}) where {' and '.join([own, *guards])}",
            f"{weights}[b, c] = exp({scores}[b, c])",
        ]
        if self.chance(0.5):
            self.lines += [
                f"{total}[b] = sum[c]({weights}[b, c])",
                f"{result}[b, c] = {weights}[b, c] / {total}[b]{other}",
            ]
            self.tensors |= {scores: ["B", "C"], total: ["B"]}
            self.positive.append(total)
        else:
            start = self.random.choice(["0", "0", "0.5"])
            part = self.name()
            self.lines += [
                f"init {total}[0, b] = {start}",
                f"{part}[t, b] = sum[u]({weights}[b, t*T0 + u])",
                f"{total}[t + 1, b] = {total}[t, b] * 0.5 + {part}[t, b]",
                f"{result}[b, c] = {weights}[b, c] / {total}[T1, b]{other}",
            ]
            self.tensors |= {scores: ["B", "C"], total: ["T1+", "B"]}
            self.positive.append(total)
        self.tensors[result] = ["B", "C"]

    def nested(self):
        """A recurrence over b for each step of a recurrence over a."""
        outer, inner = self.name(), self.name()
        guards = []
        body = self.expression(["a", "b", "c"], guards, 1)
        tail = self.tail("a, b, c", body, guards, is_filtered=0.2)
        self.lines += [
            f"init {outer}[0, c] = {self.random.choice(['0', '1', 'Z[c]'])}",
            f"init {inner}[a, 0, c] = tanh({outer}[a, c])",
            f"{inner}[a, b + 1, c] = {self.combined([f'{inner}[a, b, c]', body])}{tail}",
            f"{outer}[a + 1, c] = {outer}[a, c] + {inner}[a, B, c]",
        ]
        self.tensors |= {outer: ["A+", "C"], inner: ["A", "B+", "C"]}


def _words(text):
    found, word = [], ""
    for character in text + " ":
        if character.isalnum() or character == "_":
            word += character
        else:
            found.append(word)
            word = ""
    return [word for word in found if word]


def _with(items, place, item):
    return [*items[:place], item, *items[place:]]


def _inserted(names, place, index):
    return ", ".join(_with(list(names), place, index))


def random_cascade(seed):
    """The text of a cascade, and settings for its ranks."""
    writer = _Writer(seed)
    pick = writer.random.choice
    for _ in range(pick([2, 3, 4, 5, 6])):
        pick(
            [writer.equation] * 5
            + [writer.recurrence] * 3
            + [writer.declared, writer.nested, writer.softmax, writer.softmax]
        )()
    computed = [name for name in writer.tensors if name not in INPUTS]
    outputs = dict.fromkeys([computed[-1], *writer.random.sample(computed, pick([0, 0, 1, 2]) % (len(computed) + 1))])
    text = HEADER.format(t0=pick([1, 2, 2, 3])) + "\n".join(writer.lines) + f"\noutput {', '.join(outputs)}\n"
    settings = {rank: pick([0, 1, 2, 2, 3, 3, 4]) for rank in "ABC"}
    return text, settings
