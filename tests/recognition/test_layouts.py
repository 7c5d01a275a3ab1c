"""Layouts of what the array reads and writes: reversed, shifted, strided, in tiles, heads flattened, axes permuted.

The model runs what the cascade becomes; NumPy does the same by loops over coordinates, with the indices as Python text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pytest
from model_runs import modelled
from numpy.typing import NDArray
from random_counts import random_count

from einsum_cascade import load_architecture, parse, zoo
from einsum_cascade.array.numbers import Numbers
from einsum_cascade.cascade.ir import Cascade, Tensor
from einsum_cascade.lowering.prepared import Prepared
from einsum_cascade.study.preparation import prepare

ARRAY = load_architecture("fusemax-4x4")


@dataclass(frozen=True)
class Axis:
    """One index of a tensor: its text, and how many coordinates it must have for the extents."""

    text: str
    extent: str


def spellings(rng: np.random.Generator, name: str) -> Axis:
    """Draw an index along a range that a variable or two tiles count."""
    big = name.upper()
    forms = [
        Axis(name, big),
        Axis(f"{big} - 1 - {name}", big),
        Axis(f"{name} + 2", f"{big} + 2"),
        Axis(f"2*{name}", f"2*{big}"),
        Axis(f"2*{big} - 1 - 2*{name}", f"2*{big}"),
    ]
    return forms[int(rng.integers(0, len(forms)))]


def tensor(rng: np.random.Generator, names: tuple[str, ...]) -> list[Axis]:
    """Draw an index for every range, in some order."""
    return [spellings(rng, names[at]) for at in rng.permutation(len(names))]


def declared(name: str, axes: list[Axis]) -> tuple[str, str]:
    """Return the ranks of a tensor's own, and its declaration."""
    ranks = [f"rank {name}{at} = {axis.extent}" for at, axis in enumerate(axes)]
    return "\n".join(ranks), f"{name}[{', '.join(f'{name.lower()}{at}:{name}{at}' for at in range(len(axes)))}]"


def read(name: str, axes: list[Axis]) -> str:
    return f"{name}[{', '.join(axis.text for axis in axes)}]"


def element(array: NDArray[Any], axes: list[Axis], at: dict[str, int]) -> Any:
    return array[tuple(eval(axis.text, {}, at) for axis in axes)]


def shape(axes: list[Axis], sizes: dict[str, int]) -> list[int]:
    return [eval(axis.extent, {}, sizes) for axis in axes]


def run(prepared: Prepared, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    """Return what the model makes of the inputs."""
    return modelled(prepared, prepared.stored(inputs))


def test_products_of_random_layouts(seed: int) -> None:
    """Operands are small whole numbers, so that sums are exact in every order."""
    for number in range(random_count(300)):
        rng = np.random.default_rng([seed, number])
        heads = ("h",) * int(rng.integers(0, 2))
        a, b = tensor(rng, (*heads, "m", "k")), tensor(rng, (*heads * int(rng.integers(0, 2)), "k", "n"))
        z = tensor(rng, (*heads, "m", "n"))
        sizes = {name.upper(): int(rng.integers(1, 7)) for name in ("m", "n", "k", *heads)}
        tensors = [declared(*each) for each in (("A", a), ("B", b), ("Y", z))]
        text = "\n".join(
            [
                f"rank {', '.join(sizes)}",
                *(ranks for ranks, _ in tensors),
                f"input {tensors[0][1]}, {tensors[1][1]}",
                f"tensor {tensors[2][1]}",
                f"{read('Y', z)} = {read('A', a)} * {read('B', b)}",
                "output Y",
            ]
        )
        case = f"case {number} of seed {seed}: {sizes}\n{text}"
        prepared = prepare(parse(text), ARRAY, sizes)
        inputs = {n: rng.integers(-4, 5, shape(axes, sizes)).astype(float) for n, axes in (("A", a), ("B", b))}
        wanted = np.zeros(shape(z, sizes))
        for point in product(*(range(size) for size in sizes.values())):
            at = sizes | dict(zip(map(str.lower, sizes), point, strict=True))
            index = tuple(eval(axis.text, {}, at) for axis in z)
            wanted[index] += element(inputs["A"], a, at) * element(inputs["B"], b, at)
        assert np.array_equal(run(prepared, inputs)["Y"], wanted), case


@dataclass(frozen=True)
class Laid:
    """A cascade of the zoo whose inputs and output are laid out otherwise."""

    text: str
    inputs: dict[str, list[Axis]]
    output: list[Axis]

    @classmethod
    def of(cls, cascade: Cascade, rng: np.random.Generator) -> "Laid":
        """Draw layouts: inputs become views of tensors `XQ`, and the last equation writes a tensor `Y`."""
        lines = str(cascade).splitlines()
        inputs = {t.name: tensor(rng, tuple(d.rank.lower() for d in t.dimensions)) for t in cascade.inputs}
        (name,) = cascade.outputs
        output = tensor(rng, tuple(d.rank.lower() for d in cascade.tensor[name].dimensions))
        found: list[str] = []
        for line in lines:
            if line.startswith("input "):
                tensors = [declared(f"X{each}", axes) for each, axes in inputs.items()]
                ranks, mine = declared("Y", output)
                found += [*(ranks for ranks, _ in tensors), ranks, f"input {', '.join(text for _, text in tensors)}"]
                found.append(f"tensor {mine}")
                found += (f"{plain(cascade.tensor[each])} = {read(f'X{each}', axes)}" for each, axes in inputs.items())
            elif line.startswith(f"{name}["):
                found.append(f"{read('Y', output)} ={line.split('=', 1)[1]}")
            else:
                found.append("output Y" if line.startswith("output ") else line)
        return cls("\n".join(found), inputs, output)


def plain(declaration: Tensor) -> str:
    return f"{declaration.name}[{', '.join(dimension.rank.lower() for dimension in declaration.dimensions)}]"


KERNELS = {
    "attention-deferred": "bf16",
    "attention-1pass": "bf16",
    "attention-1pass-causal": "bf16",
    "attention-window": "bf16",
    "attention-1pass-gqa": "bf16",
    "attention-sigmoid": "wide",
    "attention-linear": "bf16",
    "softmax": "bf16",
}


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_of_random_layouts(name: str, seed: int) -> None:
    """The results are those of the cascade as the zoo has it, to the bit, on the elements that the indices name."""
    cascade = zoo.load(name)
    numbers = Numbers(multiplier="wide") if KERNELS[name] == "wide" else None
    for number in range(random_count(60)):
        rng = np.random.default_rng([seed, number])
        laid = Laid.of(cascade, rng)
        sizes = {r.name: int(rng.integers(1, 7)) for r in cascade.ranks if r.extent is None and r.alias_of is None}
        sizes |= {"M0": 4} if "M0" in sizes else {}
        case = f"case {number} of seed {seed}: {sizes}\n{laid.text}"
        mine, other = (prepare(each, ARRAY, sizes, numbers) for each in (parse(laid.text), cascade))
        extents = mine.extents
        inputs = {f"X{n}": rng.standard_normal(shape(axes, dict(extents))) for n, axes in laid.inputs.items()}
        given = {
            tensor.name: gathered(inputs[f"X{tensor.name}"], laid.inputs[tensor.name], tensor, extents)
            for tensor in cascade.inputs
        }
        (output,) = cascade.outputs
        wanted, found = run(other, given)[output], run(mine, inputs)["Y"]
        assert np.array_equal(gathered(found, laid.output, cascade.tensor[output], extents), wanted), case
        assert np.count_nonzero(found) == np.count_nonzero(wanted), case


def gathered(array: NDArray[Any], axes: list[Axis], tensor: Tensor, extents: Mapping[str, int]) -> NDArray[Any]:
    """Return a tensor whose elements lie elsewhere in an array."""
    ranks = [dimension.rank for dimension in tensor.dimensions]
    found = np.zeros([extents[rank] for rank in ranks], array.dtype)
    for point in np.ndindex(*found.shape):
        found[point] = element(array, axes, {**extents} | dict(zip(map(str.lower, ranks), point, strict=True)))
    return found
