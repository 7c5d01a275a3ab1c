"""The memories of the array: one Verilog module with parameters, so that no text grows with what a memory holds."""

from amaranth import Cat, ClockSignal, Const, Instance, Value
from amaranth.lib.memory import Memory

__all__ = ["RAM", "RamPlatform", "ram_text"]

RAM = "ram"
"""The name of the module, after the prefix of a design."""

_TEXT = """\
// A memory with one write port and READS read ports. What it holds is not known until it is written. A read port gives
// a word in the same cycle, or with REGISTERED in the next one if it is enabled: what was there before a write in that
// cycle, or with TRANSPARENT what is written.
module @name@ #(
    parameter WIDTH = 1,
    parameter DEPTH = 1,
    parameter ADDRESS_BITS = 1,
    parameter READS = 1,
    parameter REGISTERED = 1,
    parameter TRANSPARENT = 0
) (
    input clk,
    input write_enable,
    input [ADDRESS_BITS-1:0] write_address,
    input [WIDTH-1:0] write_data,
    input [READS-1:0] read_enable,
    input [READS*ADDRESS_BITS-1:0] read_address,
    output [READS*WIDTH-1:0] read_data
);
    reg [WIDTH-1:0] held [0:DEPTH-1];
    always @(posedge clk)
        if (write_enable)
            held[write_address] <= write_data;

    genvar i;
    generate
        for (i = 0; i < READS; i = i + 1) begin : reads
            wire [ADDRESS_BITS-1:0] address = read_address[i*ADDRESS_BITS +: ADDRESS_BITS];
            if (REGISTERED != 0) begin : later
                reg [WIDTH-1:0] word;
                if (TRANSPARENT != 0) begin : forwarded
                    always @(posedge clk)
                        if (read_enable[i])
                            word <= write_enable && write_address == address ? write_data : held[address];
                end else begin : stored
                    always @(posedge clk)
                        if (read_enable[i])
                            word <= held[address];
                end
                assign read_data[i*WIDTH +: WIDTH] = word;
            end else begin : now
                assign read_data[i*WIDTH +: WIDTH] = held[address];
            end
        end
    endgenerate
endmodule
"""


def ram_text(prefix: str = "") -> str:
    """Return the Verilog of the module, whose name begins with a prefix."""
    return _TEXT.replace("@name@", f"{prefix}{RAM}")


class RamPlatform:
    """What turns memories into instances of the module, while a component becomes Verilog.

    Parameters
    ----------
    prefix
        What the names of all modules begin with.

    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix

    def get_memory(self, memory: Memory) -> Instance:
        """Return the instance for a memory: one write port, and read ports that are alike.

        Raises
        ------
        ValueError
            Its ports are others.

        """
        writes, reads = memory.write_ports, memory.read_ports
        kinds = {(port.domain, bool(port.transparent_for)) for port in reads}
        if len(writes) != 1 or len(kinds) != 1 or len(writes[0].en) != 1:
            raise ValueError(
                f"a memory of the array must have one write port for whole words, and read ports that are alike, "
                f"not {len(writes)} and {len(reads)}, of kinds {sorted(kinds)}"
            )
        ((domain, is_transparent),) = kinds
        (write,) = writes
        bits = max(1, len(write.addr))
        addresses = [Cat(port.addr, Const(0, bits - len(port.addr))) for port in (write, *reads)]
        return Instance(
            f"{self._prefix}{RAM}",
            p_WIDTH=len(Value.cast(writes[0].data)),
            p_DEPTH=memory.depth,
            p_ADDRESS_BITS=bits,
            p_READS=len(reads),
            p_REGISTERED=int(domain != "comb"),
            p_TRANSPARENT=int(is_transparent),
            i_clk=ClockSignal(),
            i_write_enable=write.en,
            i_write_address=addresses[0],
            i_write_data=write.data,
            i_read_enable=Cat(*(port.en for port in reads)),
            i_read_address=Cat(*addresses[1:]),
            o_read_data=Cat(*(port.data for port in reads)),
        )
