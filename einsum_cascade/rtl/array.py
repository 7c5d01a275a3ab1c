"""The array: a grid of one PE, one row feeder, one column top and one lane, stamped as Verilog text.

The four components are elaborated once; that there are rows x columns of them is said by `generate for`, so that the
size of the text does not depend on the size of the array.

The module `array` has these ports; the widths are in `port_widths`.

Members
-------
clk, rst : in
    Clock, and a reset that is high for a cycle or more.
corner : in
    The instruction word, `links.corner_layout`.
bank_enable, bank_row, bank_address, bank_data : in
    A beat for the bank of a row.
query_enable, query_column, query_address, query_data : in
    A beat for the query file of a column.
factor, scale, bias, factor_high, factor_low : in
    Constants of functions, as `constants_of` names them; they stay during a run.
drain_address, drain_parity, drain_kind, drain_group : in
    Which accumulator the drain reads (parity below, word above), which captured sum and maximum, which of the three it
    has for a word, and which columns: `dividers` of them from `drain_group * dividers` on.
fill_enable, fill_kind, fill_address, fill_beat, fill_data : in
    A beat of a row of running state for the lanes: what its words are, which accumulators (as `drain_address`), which
    columns: as many as it has words, from `fill_beat` times as many on.
drain_words, drain_sums : out
    That word and that sum of those columns, the first column in the lowest bits.
results_done : out
    For one cycle: the results of a query tile are complete.

Timing
------
PE(0, 0) executes a word `CORNER_LATENCY` cycles after it is at `corner`; call that cycle t. PE(i, j) executes it in
t + L i + j, lane j in t + L rows + j. `results_done` comes in t + L rows + columns - 1 + L, and words may be read by
addresses of that cycle on. `drain_words` and `drain_sums` come `DRAIN_LATENCY` cycles after their address. A bank and a
query file are read for a word while it is at `corner` (row i: L i cycles later, column j: j cycles later), and see the
beats written in earlier cycles. Everything takes something new every cycle; nothing stalls. After reset no instruction
is under way.
"""

import re

from amaranth.lib.wiring import Component

from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.rtl.column import ColumnTop
from einsum_cascade.rtl.delay import Delay
from einsum_cascade.rtl.feeder import FEED_LATENCY, RowFeeder
from einsum_cascade.rtl.lane import DRAIN_READ_LATENCY, LANE_LATENCY, VectorLane, accumulator_bits
from einsum_cascade.rtl.links import (
    OP_BITS,
    address_bits,
    column_layout,
    corner_layout,
    link_layout,
    query_address_bits,
    row_beat_bits,
    row_layout,
    vector_layout,
)
from einsum_cascade.rtl.module_text import module_text
from einsum_cascade.rtl.pe import ProcessingElement
from einsum_cascade.rtl.ram import RAM, ram_text

__all__ = [
    "COMPONENTS",
    "CORNER_LATENCY",
    "DRAIN_LATENCY",
    "OUTPUTS",
    "array_files",
    "constants_of",
    "done_latency",
    "port_widths",
]

CORNER_LATENCY = FEED_LATENCY
"""Cycles from a word at `corner` to PE(0, 0) executing it."""

DRAIN_LATENCY = DRAIN_READ_LATENCY + 1
"""Cycles from `drain_address` and `drain_group` to `drain_words` and `drain_sums`."""

COMPONENTS = ("pe", "row_feeder", "column_top", "vector_lane", "vector_delay")
"""The modules that the array is made of."""

OUTPUTS = ("drain_words", "drain_sums", "results_done")
"""The ports that the array drives; it reads all others."""


def done_latency(shape: ArrayShape) -> int:
    """Return the cycles from a vector instruction with `is_done` at `corner` to `results_done`."""
    return CORNER_LATENCY + shape.stages * shape.rows + shape.columns - 1 + shape.stages


def constants_of(shape: ArrayShape) -> tuple[str, ...]:
    """Return the registers that the slots of functions read: the factor of the lanes, and those of the columns."""
    return tuple(dict.fromkeys(("factor", *shape.numbers.constants)))


def _components_of(shape: ArrayShape) -> dict[str, Component]:
    """Return what the array is made of, by the name of the module."""
    cycles = CORNER_LATENCY + shape.stages * shape.rows - LANE_LATENCY
    made = (
        ProcessingElement(shape),
        RowFeeder(shape),
        ColumnTop(shape),
        VectorLane(shape),
        Delay(vector_layout(shape).size, cycles),
    )
    return dict(zip(COMPONENTS, made, strict=True))


def port_widths(shape: ArrayShape) -> dict[str, int]:
    """Return the ports of the array, clock and reset included, in order."""
    return {
        "clk": 1,
        "rst": 1,
        "corner": corner_layout(shape).size,
        "bank_enable": 1,
        "bank_row": address_bits(shape.rows),
        "bank_address": address_bits(shape.bank_beats),
        "bank_data": shape.beat_bits,
        "query_enable": 1,
        "query_column": address_bits(shape.columns),
        "query_address": address_bits(2 * shape.key_beats),
        "query_data": shape.beat_bits,
        **dict.fromkeys(constants_of(shape), 32),
        "drain_address": accumulator_bits(shape),
        "drain_parity": 1,
        "drain_kind": 2,
        "drain_group": address_bits(shape.columns // shape.dividers),
        "fill_enable": 1,
        "fill_kind": 2,
        "fill_address": accumulator_bits(shape),
        "fill_beat": row_beat_bits(shape),
        "fill_data": shape.beat_bits,
        "drain_words": 32 * shape.dividers,
        "drain_sums": 32 * shape.dividers,
        "results_done": 1,
    }


def _array_text(shape: ArrayShape, prefix: str) -> str:
    """Return the Verilog of the module `array`, and of the components' names with a prefix."""
    row = row_layout(shape)
    parameters = {
        "ROWS": shape.rows,
        "COLUMNS": shape.columns,
        "DIVIDERS": shape.dividers,
        "ROW_BITS": row.size,
        "LINK_BITS": link_layout(shape).size,
        "TOP_BITS": column_layout(shape).size,
        "QUERY_BITS": query_address_bits(shape),
        "QUEUE_BITS": address_bits(shape.queue),
        "VECTOR_BITS": vector_layout(shape).size,
        "SLOT_AT": row["slot"].offset,
        "SLOT_BITS": row["slot"].width,
        "OP_BITS": OP_BITS,
        "ROW_INDEX_BITS": address_bits(shape.rows),
        "COLUMN_INDEX_BITS": address_bits(shape.columns),
        "BEAT_WORDS": shape.beat_words,
        "BEAT_BITS": row_beat_bits(shape),
    }
    widths = port_widths(shape)
    ports = ",\n".join(
        f"    {'output' if name in OUTPUTS else 'input'} {_range(bits)}{name}" for name, bits in widths.items()
    )
    constants = "\n".join(f"    localparam {name} = {value};" for name, value in parameters.items())
    group = f"    reg {_range(widths['drain_group'])}group;\n"
    given = "".join(f" .{name}({name})," for name in shape.numbers.constants)
    body = _INSTANCE.sub(rf"\1{prefix}\2", _BODY.replace(_CONSTANTS, given))
    return f"module {prefix}array(\n{ports}\n);\n{constants}\n{group}{body}endmodule\n"


def array_files(shape: ArrayShape, prefix: str = "") -> dict[str, str]:
    """Return the Verilog of an array by file name; `array.v` holds the module `array`, `ram.v` the memory of all parts.

    Parameters
    ----------
    shape
        The array.
    prefix
        What the names of all files and modules begin with.

    Examples
    --------
    >>> sorted(array_files(ArrayShape(2, 2)))
    ['array.v', 'column_top.v', 'pe.v', 'ram.v', 'row_feeder.v', 'vector_delay.v', 'vector_lane.v']

    """
    components = {name: module_text(component, name, prefix) for name, component in _components_of(shape).items()}
    texts = {"array": _array_text(shape, prefix), RAM: ram_text(prefix), **components}
    return {f"{prefix}{name}.v": text for name, text in texts.items()}


def _range(bits: int) -> str:
    return f"[{bits - 1}:0] " if bits > 1 else ""


_INSTANCE = re.compile(rf"^( +)({'|'.join(COMPONENTS)})(?= \w+\($)", re.MULTILINE)
"""A line that begins an instance of a component."""

_CONSTANTS = "@constants@"
"""Where the constants of a column's functions come in."""

_BODY = """
    // The corner's word, from the lowest bits on: row part (its operation first), query address, entry of
    // the correction queue, vector part.
    wire [ROW_BITS-1:0] corner_row = corner[ROW_BITS-1:0];
    wire [TOP_BITS-1:0] corner_top =
        {corner[ROW_BITS +: QUERY_BITS + QUEUE_BITS], corner[SLOT_AT +: SLOT_BITS], corner[OP_BITS-1:0]};
    wire [VECTOR_BITS-1:0] delayed;
    vector_delay delay(
        .clk(clk), .rst(rst), .given(corner[ROW_BITS + QUERY_BITS + QUEUE_BITS +: VECTOR_BITS]), .delayed(delayed)
    );

    wire [32*COLUMNS-1:0] words;
    wire [32*COLUMNS-1:0] sums;
    genvar i;
    genvar j;
    generate
        for (i = 0; i < ROWS; i = i + 1) begin : rows
            wire [ROW_BITS-1:0] above;
            wire [ROW_BITS-1:0] below;
            wire [LINK_BITS-1:0] fed;
            if (i == 0) begin : first
                assign above = corner_row;
            end else begin : later
                assign above = rows[i-1].below;
            end
            row_feeder feeder(
                .clk(clk), .rst(rst), .above(above), .below(below), .right(fed),
                .write_enable(bank_enable && bank_row == i[ROW_INDEX_BITS-1:0]),
                .write_address(bank_address), .write_data(bank_data)
            );
            for (j = 0; j < COLUMNS; j = j + 1) begin : pes
                wire [LINK_BITS-1:0] left;
                wire [LINK_BITS-1:0] right;
                wire [31:0] up;
                wire [31:0] down;
                if (j == 0) begin : first
                    assign left = fed;
                end else begin : later
                    assign left = rows[i].pes[j-1].right;
                end
                if (i == 0) begin : top
                    assign up = columns[j].fed;
                end else begin : inner
                    assign up = rows[i-1].pes[j].down;
                end
                pe element(
                    .clk(clk), .rst(rst), .left(left), .right(right), .up(up), .down(down)
                );
            end
        end
        for (j = 0; j < COLUMNS; j = j + 1) begin : columns
            wire [TOP_BITS-1:0] left;
            wire [TOP_BITS-1:0] right;
            wire [VECTOR_BITS-1:0] lane_left;
            wire [VECTOR_BITS-1:0] lane_right;
            wire [31:0] fed;
            wire [QUEUE_BITS-1:0] maximum_queue;
            wire [31:0] maximum;
            wire is_done;
            localparam [31:0] BEAT = j / BEAT_WORDS;
            if (j == 0) begin : first
                assign left = corner_top;
                assign lane_left = delayed;
            end else begin : later
                assign left = columns[j-1].right;
                assign lane_left = columns[j-1].lane_right;
            end
            column_top top(
                .clk(clk), .rst(rst), .left(left), .right(right), .down(fed),
                .maximum_queue(maximum_queue), .maximum(maximum),@constants@
                .write_enable(query_enable && query_column == j[COLUMN_INDEX_BITS-1:0]),
                .write_address(query_address), .write_data(query_data)
            );
            vector_lane lane(
                .clk(clk), .rst(rst), .left(lane_left), .right(lane_right),
                .arriving(rows[ROWS-1].pes[j].down), .maximum_queue(maximum_queue), .maximum(maximum),
                .factor(factor), .is_done(is_done),
                .drain_address(drain_address), .drain_parity(drain_parity), .drain_kind(drain_kind),
                .fill_enable(fill_enable && fill_beat == BEAT[BEAT_BITS-1:0]), .fill_kind(fill_kind),
                .fill_address(fill_address), .fill_data(fill_data[32*(j % BEAT_WORDS) +: 32]),
                .drain_word(words[32*j +: 32]), .drain_sum(sums[32*j +: 32])
            );
        end
    endgenerate
    assign results_done = columns[COLUMNS-1].is_done;

    reg [32*DIVIDERS-1:0] group_words;
    reg [32*DIVIDERS-1:0] group_sums;
    always @(posedge clk) begin
        group <= drain_group;
        group_words <= words[32*DIVIDERS*group +: 32*DIVIDERS];
        group_sums <= sums[32*DIVIDERS*group +: 32*DIVIDERS];
    end
    assign drain_words = group_words;
    assign drain_sums = group_sums;
"""
