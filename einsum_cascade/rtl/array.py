"""The array: PEs, feeders, columns and lanes, each elaborated once and stamped by the text of a `generate for`.

Elaborating every PE would take minutes; a loop in Verilog takes none.
"""

from amaranth.back import verilog
from amaranth.lib.wiring import Component

from einsum_cascade.program.shape import ArrayShape
from einsum_cascade.rtl.column import COLUMN_LAYOUT, ColumnTop
from einsum_cascade.rtl.corner import BEAT_BITS, corner_layout, vector_layout
from einsum_cascade.rtl.feeder import RowFeeder
from einsum_cascade.rtl.lane import DRAIN_LAYOUT, VectorLane
from einsum_cascade.rtl.pe import ProcessingElement, travel_layout
from einsum_cascade.rtl.vector_delay import VectorDelay

__all__ = ["array_files", "array_ports"]

_FILL = {"fill_line": 10, "fill_place": BEAT_BITS}


def array_ports(shape: ArrayShape) -> tuple[dict[str, int], dict[str, int]]:
    """Return the widths of the array's inputs, clock and reset apart, and of its outputs.

    `corner` is a word of `corner_layout`; PE(i, j) executes it `1 + stages * i + j` cycles later. `drain_out` is what the
    first `dividers` lanes have in the registers that leave, lane 0 lowest.
    """
    inputs = {
        "corner": corner_layout(shape).size,
        "fill_bank": 1,
        "fill_query": 1,
        **_FILL,
        "fill_data": 8 * shape.beat_bytes,
        "drain_load": 1,
        "drain_bank": 1,
        "drain_word": 16,
        "drain_shift": 1,
    }
    return inputs, {"drain_out": shape.dividers * DRAIN_LAYOUT.size}


def array_files(shape: ArrayShape) -> dict[str, str]:
    """Return the Verilog of the array by file name; the module is `array`."""
    parts: dict[str, Component] = {
        "pe": ProcessingElement(shape),
        "row_feeder": RowFeeder(shape),
        "column_top": ColumnTop(shape),
        "vector_lane": VectorLane(shape),
        "vector_delay": VectorDelay(shape),
    }
    files = {f"{name}.v": verilog.convert(part, name=name, strip_internal_attrs=True) for name, part in parts.items()}
    return {**files, "array.v": _array(shape)}


def _array(shape: ArrayShape) -> str:
    inputs, outputs = array_ports(shape)
    ports = [f"    input wire {_range(width)}{name}" for name, width in {"clk": 1, "rst": 1, **inputs}.items()]
    ports += [f"    output wire {_range(width)}{name}" for name, width in outputs.items()]
    corner = corner_layout(shape)
    matrix, bank, vector = (corner[name] for name in ("matrix", "query_bank", "vector"))
    op, index = (matrix.shape[name] for name in ("op", "index"))
    column = f"{{corner[{bank.offset}], {_slice('corner', index.offset, index.width)}, {_slice('corner', op.offset, op.width)}}}"
    return f"""// {shape.rows} x {shape.columns} PEs, {shape.stages} stages; made by einsum-cascade.
module array (
{",\n".join(ports)}
);
    genvar i, j;

    wire [{matrix.width - 1}:0] matrix [0:{shape.rows}];
    wire [{travel_layout(shape).size - 1}:0] travel [0:{shape.rows * (shape.columns + 1) - 1}];
    wire [31:0] down [0:{(shape.rows + 1) * shape.columns - 1}];
    wire [{COLUMN_LAYOUT.size - 1}:0] top [0:{shape.columns}];
    wire [{vector_layout().size - 1}:0] vector [0:{shape.columns}];
    wire [31:0] maximum [0:{shape.columns - 1}];
    wire [{DRAIN_LAYOUT.size - 1}:0] drain [0:{shape.columns + shape.dividers - 1}];

    assign matrix[0] = {_slice("corner", matrix.offset, matrix.width)};
    assign top[0] = {column};
    vector_delay delay (.clk(clk), .rst(rst), .above({_slice("corner", vector.offset, vector.width)}), .below(vector[0]));

    generate
        for (i = 0; i < {shape.rows}; i = i + 1) begin : rows
            row_feeder feeder (
                .clk(clk), .rst(rst), .number(i[9:0]), .above(matrix[i]), .below(matrix[i + 1]),
                .travel(travel[i * {shape.columns + 1}]),
                .fill_write(fill_bank), .fill_line(fill_line), .fill_place(fill_place), .fill_data(fill_data)
            );
            for (j = 0; j < {shape.columns}; j = j + 1) begin : columns
                pe pe (
                    .clk(clk), .rst(rst),
                    .left(travel[i * {shape.columns + 1} + j]), .right(travel[i * {shape.columns + 1} + j + 1]),
                    .up(down[i * {shape.columns} + j]), .down(down[(i + 1) * {shape.columns} + j])
                );
            end
        end
        for (j = 0; j < {shape.columns}; j = j + 1) begin : lanes
            column_top top_of_column (
                .clk(clk), .rst(rst), .number(j[9:0]), .left(top[j]), .right(top[j + 1]),
                .maximum(maximum[j]), .down(down[j]),
                .fill_write(fill_query), .fill_line(fill_line), .fill_place(fill_place), .fill_data(fill_data)
            );
            vector_lane lane (
                .clk(clk), .rst(rst), .left(vector[j]), .right(vector[j + 1]),
                .arriving(down[{shape.rows * shape.columns} + j]), .maximum(maximum[j]),
                .drain_load(drain_load), .drain_bank(drain_bank), .drain_word(drain_word), .drain_shift(drain_shift),
                .drain_in(drain[j + {shape.dividers}]), .drain_out(drain[j])
            );
        end
        for (j = 0; j < {shape.dividers}; j = j + 1) begin : leaving
            assign drain[{shape.columns} + j] = {DRAIN_LAYOUT.size}'d0;
            assign drain_out[{DRAIN_LAYOUT.size} * j +: {DRAIN_LAYOUT.size}] = drain[j];
        end
    endgenerate
endmodule
"""


def _range(width: int) -> str:
    return "" if width == 1 else f"[{width - 1}:0] "


def _slice(name: str, offset: int, width: int) -> str:
    return f"{name}[{offset + width - 1}:{offset}]"
