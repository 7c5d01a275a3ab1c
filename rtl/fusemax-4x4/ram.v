// A memory with one write port and READS read ports. What it holds is not known until it is written. A read port gives
// a word in the same cycle, or with REGISTERED in the next one if it is enabled: what was there before a write in that
// cycle, or with TRANSPARENT what is written.
module ram #(
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
