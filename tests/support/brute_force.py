"""A deliberately naive evaluator: every element on demand, every point in a Python loop.

It states the meaning of a cascade point by point and shares no code with the interpreter. An element is a tuple of its
value and whether it is a reduction over nothing, or None if it is absent.
"""

import itertools
from functools import lru_cache

import numpy as np

from einsum_cascade.cascade.extents import resolve_extents
from einsum_cascade.cascade.ir import And, Apply, Comparison, Constant, Coordinate, Not, Or, RankExtent, Read

__all__ = ["BruteForceError", "brute_force"]


class BruteForceError(Exception):
    """What the interpreter must refuse as well; `kind` is `division` or `index`."""

    def __init__(self, kind, where):
        super().__init__(f"{kind}: {where}")
        self.kind = kind


def brute_force(cascade, inputs, settings):
    shapes = {name: np.shape(value) for name, value in inputs.items()}
    extents = resolve_extents(cascade, settings, shapes)
    with np.errstate(all="ignore"):
        return _Evaluator(cascade, {name: np.asarray(value) for name, value in inputs.items()}, extents).run()


COMPARE = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}


def parts(predicate):
    if predicate is None:
        return []
    if isinstance(predicate, And):
        return [part for operand in predicate.operands for part in parts(operand)]
    return [predicate]


def nodes(expression):
    yield expression
    if isinstance(expression, Apply):
        for argument in expression.arguments:
            yield from nodes(argument)


def reads(expression):
    return [] if expression is None else [node for node in nodes(expression) if isinstance(node, Read)]


def variables(expression):
    found = set()
    for node in nodes(expression):
        if isinstance(node, Read):
            found |= {name for index in node.indices for name in index.variables}
        if isinstance(node, Coordinate):
            found.add(node.variable)
    return found


def sides(predicate):
    if isinstance(predicate, Comparison):
        return [predicate.left, predicate.right]
    operands = [predicate.operand] if isinstance(predicate, Not) else predicate.operands
    return [side for operand in operands for side in sides(operand)]


def filter_variables(predicate):
    return set().union(*(variables(side) for side in sides(predicate))) if predicate is not None else set()


class _Evaluator:
    def __init__(self, cascade, inputs, extents):
        self.cascade, self.inputs, self.extents = cascade, inputs, extents
        self.shape = {t.name: tuple(extents[d.rank] + d.is_generational for d in t.dimensions) for t in cascade.tensors}
        self.several = {t.name for t in cascade.tensors if t.is_declared or t.generation_axis is not None}
        self.writers = {}
        for einsum in cascade.einsums:
            for left in self.points(einsum, einsum.left_variables):
                place = (einsum.tensor, self.place(einsum, left))
                if all(0 <= i < n for i, n in zip(place[1], self.shape[einsum.tensor], strict=True)):
                    assert place not in self.writers
                    self.writers[place] = (einsum, left)
        self.element = lru_cache(maxsize=None)(self._element)
        self.is_present = lru_cache(maxsize=None)(self._is_present)

    def run(self):
        for einsum in self.cascade.einsums:
            self.check(einsum)
        outputs = {}
        for name in self.cascade.outputs:
            array = np.zeros(self.shape[name])
            for place in np.ndindex(*self.shape[name]):
                element = self.element(name, place)
                array[place] = 0 if element is None else element[0]
            outputs[name] = array
        return outputs

    # iteration

    def counts(self, einsum):
        counts = {name: self.extents[self.cascade.rank_of[name]] for name in einsum.variables}
        for index, dimension in zip(einsum.indices, self.cascade.tensor[einsum.tensor].dimensions, strict=True):
            if dimension.is_generational and not einsum.is_init:
                counts[index.variables[0]] = max(0, counts[index.variables[0]] + 1 - index.offset.value)
        return counts

    def points(self, einsum, names):
        counts = self.counts(einsum)
        for values in itertools.product(*(range(counts[name]) for name in names)):
            yield dict(zip(names, values, strict=True))

    def place(self, access, point):
        return tuple(index.evaluate(point, self.extents) for index in access.indices)

    # partitions: strides are the products of the extents further in, and nothing is added

    def tails(self, access):
        found = []
        for index, dimension in zip(access.indices, self.cascade.tensor[access.tensor].dimensions, strict=True):
            is_tail = len(index.terms) > 1 and not index.offset and not dimension.is_generational
            rest, stride = dict(index.terms), 1
            while is_tail and rest:
                name = next((n for n, c in rest.items() if c.evaluate(self.extents) == stride and c.value != 0), None)
                is_tail = name is not None and (stride != 1 or rest[name].value == 1)
                if is_tail:
                    del rest[name]
                    stride *= self.extents[self.cascade.rank_of[name]]
            found.append(is_tail)
        return found

    def fate(self, read, point):
        """`inside`, `tail` or `astray`."""
        fate = "inside"
        for i, n, is_tail in zip(self.place(read, point), self.shape[read.tensor], self.tails(read), strict=True):
            if not 0 <= i < n:
                if not is_tail:
                    return "astray"
                fate = "tail"
        return fate

    # filters: True, False or None for undecided

    def truth(self, predicate, point):
        if isinstance(predicate, Comparison):
            for side in (predicate.left, predicate.right):
                if any(self.fate(read, point) != "inside" for read in reads(side)):
                    return None
            return bool(
                COMPARE[predicate.operator](self.side(predicate.left, point), self.side(predicate.right, point))
            )
        if isinstance(predicate, Not):
            inner = self.truth(predicate.operand, point)
            return None if inner is None else not inner
        truths = [self.truth(operand, point) for operand in predicate.operands]
        decisive = isinstance(predicate, Or)
        if decisive in truths:
            return decisive
        return None if None in truths else not decisive

    def side(self, expression, point):
        if isinstance(expression, Constant):
            return expression.value
        if isinstance(expression, RankExtent):
            return self.extents[expression.rank]
        if isinstance(expression, Coordinate):
            return point[expression.variable]
        if isinstance(expression, Read):
            return self.inputs[expression.tensor][self.place(expression, point)].item()
        return expression.operator.function(*(self.side(argument, point) for argument in expression.arguments))

    def filter(self, einsum, point):
        truths = [self.truth(part, point) for part in parts(einsum.where)]
        return False if False in truths else None if None in truths else True

    # conditions: pairs of the variables they are about and a function of the point

    def conditions_of_tensor(self, name):
        """Pairs of dimensions and a function of the coordinates."""
        if self.cascade.tensor[name].is_given:
            return []
        if name in self.several:
            return [(set(range(len(self.shape[name]))), lambda place: self.is_present(name, place))]
        (einsum,) = (e for e in self.cascade.einsums if e.tensor == name)
        axis = {index.plain: at for at, index in enumerate(einsum.indices)}
        found = []
        for names, function in self.conditions(einsum):
            if names <= set(einsum.left_variables):

                def holds(place, function=function):
                    return function({variable: place[at] for variable, at in axis.items()})

                found.append(({axis[variable] for variable in names}, holds))
        return found

    def conditions_of_reads(self, expression):
        found = []
        for read in reads(expression):
            for axes, function in self.conditions_of_tensor(read.tensor):
                names = {name for at in axes for name in read.indices[at].variables}

                def holds(point, read=read, axes=axes, function=function):
                    known = dict.fromkeys((v for index in read.indices for v in index.variables), 0) | point
                    place = list(self.place(read, known))
                    tails = self.tails(read)
                    for at in axes:
                        if not 0 <= place[at] < self.shape[read.tensor][at]:
                            return tails[at] is False
                    for at in range(len(place)):
                        if at not in axes:
                            place[at] = 0
                    return function(tuple(place))

                found.append((names, holds))
            for at, is_tail in enumerate(self.tails(read)):
                if is_tail:
                    index, n = read.indices[at], self.shape[read.tensor][at]
                    found.append((set(index.variables), lambda p, i=index, n=n: i.evaluate(p, self.extents) < n))
        return found

    def conditions(self, einsum):
        operands = self.conditions_of_reads(einsum.expression)
        if einsum.otherwise is None:
            own = [
                (
                    set().union(*(variables(side) for side in sides(part))),
                    lambda p, part=part: self.truth(part, p) is True,
                )
                for part in parts(einsum.where)
            ]
            return own + operands
        others = self.conditions_of_reads(einsum.otherwise)
        chooses = filter_variables(einsum.where)
        for divisor in self.divisors(einsum.expression):
            chooses |= variables(divisor)
        found = [
            (names | chooses, lambda p, f=function: not self.takes_expression(einsum, p) or f(p))
            for names, function in operands
        ]
        found += [
            (names | chooses, lambda p, f=function: self.takes_expression(einsum, p) or f(p))
            for names, function in others
        ]
        found.append((filter_variables(einsum.where), lambda p: self.filter(einsum, p) is not None))
        return found

    # elements

    def _is_present(self, name, place):
        if (name, place) not in self.writers:
            return False
        einsum, left = self.writers[name, place]
        names = set(einsum.left_variables)
        return all(function(left) for needed, function in self.conditions(einsum) if needed <= names)

    def _element(self, name, place):
        if self.cascade.tensor[name].is_given:
            return float(self.inputs[name][place]), False
        if not self.is_present(name, place):
            return None
        einsum, left = self.writers[name, place]
        if einsum.reduction is None:
            return self.point(einsum, left)
        names = set(einsum.left_variables)
        conditions = [function for needed, function in self.conditions(einsum) if not needed <= names]
        alive = []
        for reduced in self.points(einsum, einsum.reduction.variables):
            point = left | reduced
            if all(function(point) for function in conditions):
                alive.append(self.point(einsum, point))
        operator = einsum.reduction.operator
        total = np.float64(operator.identity)
        for number, (value, _) in enumerate(alive):
            total = value if number == 0 else np.float64(operator.function(total, value))
        return total, all(is_empty for _, is_empty in alive)

    def takes_expression(self, einsum, point):
        if self.filter(einsum, point) is not True:
            return False
        return not any(self.divides_by_nothing(divisor, point) for divisor in self.divisors(einsum.expression))

    def point(self, einsum, point):
        if einsum.otherwise is not None and not self.takes_expression(einsum, point):
            return self.value(einsum.otherwise, point), self.is_empty(einsum.otherwise, point)
        return self.value(einsum.expression, point), self.is_empty(einsum.expression, point) or self.is_neutral(einsum)

    def is_neutral(self, einsum):
        if not einsum.is_init or not isinstance(einsum.expression, Constant) or einsum.reduction:
            return False
        (update,) = (e for e in self.cascade.einsums if e.tensor == einsum.tensor and not e.is_init)
        if update.reduction:
            operator = update.reduction.operator
        elif isinstance(update.expression, Apply):
            operator = update.expression.operator
        else:
            return False
        return operator.identity == einsum.expression.value

    def value(self, expression, point):
        if isinstance(expression, Constant):
            return np.float64(expression.value)
        if isinstance(expression, RankExtent):
            return np.float64(self.extents[expression.rank])
        if isinstance(expression, Coordinate):
            return np.float64(point[expression.variable])
        if isinstance(expression, Read):
            return np.float64(self.element(expression.tensor, self.place(expression, point))[0])
        arguments = [self.value(argument, point) for argument in expression.arguments]
        return np.float64(expression.operator.function(*arguments))

    def is_empty(self, expression, point):
        if isinstance(expression, Read):
            return self.element(expression.tensor, self.place(expression, point))[1]
        if not isinstance(expression, Apply):
            return False
        flags = [self.is_empty(argument, point) for argument in expression.arguments]
        if expression.operator.name in ("+", "max", "min"):
            return all(flags)
        if expression.operator.name == "*":
            return any(flags)
        flags = [flag for flag, argument in zip(flags, expression.arguments, strict=True) if reads(argument)]
        return bool(flags) and all(flags)

    # divisions and checks

    def divisors(self, expression):
        return [n.arguments[1] for n in nodes(expression) if isinstance(n, Apply) and n.operator.name == "/"]

    def divides_by_nothing(self, divisor, point):
        for read in reads(divisor):
            if self.fate(read, point) != "inside" or self.element(read.tensor, self.place(read, point)) is None:
                return False
        return self.is_empty(divisor, point)

    def check(self, einsum):
        for point in self.points(einsum, einsum.variables):
            holds = self.filter(einsum, point)
            if holds is None:
                undecided = [read for side in sides(einsum.where) for read in reads(side)]
                if any(self.fate(read, point) == "astray" for read in undecided):
                    raise BruteForceError("index", f"{einsum} {point}")
                continue
            chosen = einsum.expression if holds else einsum.otherwise
            if holds and einsum.otherwise is not None:
                self.check_reads(einsum, einsum.expression, point)
                chosen = einsum.expression if self.takes_expression(einsum, point) else einsum.otherwise
            self.check_reads(einsum, chosen, point)
        self.check_divisions(einsum)

    def check_reads(self, einsum, expression, point):
        for read in reads(expression):
            if self.fate(read, point) == "astray":
                raise BruteForceError("index", f"{einsum} {point}")

    def check_divisions(self, einsum):
        for expression, is_other in ((einsum.expression, False), (einsum.otherwise, True)):
            if expression is None or (einsum.otherwise is not None and not is_other):
                continue
            for divisor in self.divisors(expression):
                names = variables(divisor) | filter_variables(einsum.where)
                if is_other:
                    names |= set().union(*(variables(d) for d in self.divisors(einsum.expression)))
                for point in self.points(einsum, sorted(names)):
                    chosen = (
                        self.filter(einsum, point) is True if not is_other else not self.takes_expression(einsum, point)
                    )
                    if chosen and self.divides_by_nothing(divisor, point):
                        raise BruteForceError("division", f"{einsum} {point}")
