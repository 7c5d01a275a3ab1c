"""Quantities: exact, told apart by case, never without a unit."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from einsum_cascade.units import (
    AREA,
    BITS,
    BYTES,
    ENERGY,
    FREQUENCY,
    RATE,
    Quantity,
    parse_bytes,
    parse_count,
)


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (parse_bytes, "16 MiB", 16 << 20),
        (parse_bytes, "16MB", 16_000_000),
        (parse_bytes, " 0.5 KiB ", 512),
        (parse_bytes, "1e3 B", 1000),
        (BITS.parse, "4096 b", 4096),
        (BITS.parse, "2 B", 16),
        (RATE.parse, "400 GiB/s", 400 << 30),
        (RATE.parse, "1/3 B/s", Fraction(1, 3)),
        (FREQUENCY.parse, "940 MHz", 940_000_000),
        (FREQUENCY.parse, "1.000000001 GHz", 1_000_000_001),
        (ENERGY.parse, "249.6 pJ", Fraction("249.6")),
        (ENERGY.parse, "0.3 fJ", Fraction("0.0003")),
        (AREA.parse, "1545 um2", 1545.0),
        (AREA.parse, "0.5 mm2", 500_000.0),
        (parse_count, "4096", 4096),
        (parse_count, " 64K ", 65536),
        (parse_count, "64Ki", 65536),
        (parse_count, "1M", 1 << 20),
        (parse_count, "1Mi", 1 << 20),
        (parse_count, "1.5K", 1536),
        (parse_count, "2T", 1 << 41),
        (parse_count, "-3", -3),
    ],
)
def test_parse(parse, text, value) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text", "sentence"),
    [
        (parse_bytes, "16", r"^a size must be a number with a unit of B, KiB, KB, .* such as '16 MiB', not '16'$"),
        (parse_bytes, "4096 b", r"^a size must be a number with a unit"),
        (parse_bytes, "16 mib", r"^a size must be a number with a unit"),
        (parse_bytes, "-1 B", r"^a size must be a number with a unit"),
        (parse_bytes, "1/0 B", r"^a size must be a number with a unit"),
        (parse_bytes, "nan B", r"^a size must be a number with a unit"),
        (parse_bytes, "0.3 B", r"^a size must be a whole number of B, not '0\.3 B'$"),
        (BITS.parse, "16 bits", r"^a width must be a number with a unit of b, B, such as '4096 b', not '16 bits'$"),
        (RATE.parse, "400 GB", r"^a bandwidth must be a number with a unit of B/s, .*, not '400 GB'$"),
        (
            FREQUENCY.parse,
            "940",
            r"^a frequency must be a number with a unit of Hz, kHz, MHz, GHz, THz, such as '940 MHz'",
        ),
        (FREQUENCY.parse, "0.5 Hz", r"^a frequency must be a whole number of Hz, not '0\.5 Hz'$"),
        (
            ENERGY.parse,
            "1 J",
            r"^an energy must be a number with a unit of fJ, pJ, nJ, such as '249\.6 pJ', not '1 J'$",
        ),
        (
            AREA.parse,
            "5 um^2",
            r"^an area must be a number with a unit of um2, mm2, such as '1545 um2', not '5 um\^2'$",
        ),
    ],
)
def test_refuse(parse, text, sentence) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse(text)


@given(st.sampled_from([BYTES, BITS, RATE, FREQUENCY, ENERGY, AREA]), st.fractions(min_value=0))
def test_parsing_gives_back_what_was_formatted(quantity: Quantity, value: Fraction) -> None:
    exact = Fraction(value.numerator) if quantity.is_whole else value
    assert quantity.parse(quantity.format(exact)) == exact


@pytest.mark.parametrize(
    ("quantity", "value", "text"),
    [
        (BYTES, 16 << 20, "16 MiB"),
        (BYTES, 512 << 10, "512 KiB"),
        (BYTES, 0, "0 B"),
        (BYTES, 1000, "1 KB"),
        (FREQUENCY, 940_000_000, "940 MHz"),
        (RATE, Fraction(400 << 30), "400 GiB/s"),
        (RATE, Fraction(2, 7), "2/7 B/s"),
        (AREA, Fraction(3, 2), "1.5 um2"),
    ],
)
def test_format(quantity: Quantity, value: Fraction, text: str) -> None:
    assert quantity.format(value) == text
