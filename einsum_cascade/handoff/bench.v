// Loads each program, runs it against a memory with random pauses, and compares every result; prints PASS or FAIL.
// A run that fails ends by $stop, so that `vvp -N` returns an error.
`timescale 1ns / 1ps
module tb;
    localparam BEAT_BYTES = @beat_bytes@;
    localparam BEATS = @beats@;
    localparam WRITES = @writes@;
    localparam RESULTS = @results@;
    localparam LIMIT = @limit@;

    reg clk = 0;
    reg rst = 1;
    always #5 clk = ~clk;

    reg [15:0] awaddr = 0, araddr = 0;
    reg [31:0] wdata = 0;
    reg awvalid = 0, wvalid = 0, bready = 0, arvalid = 0, rready = 0;
    wire awready, wready, bvalid, arready, rvalid, irq;
    wire [1:0] bresp, rresp;
    wire [31:0] rdata;

    wire m_arvalid, m_awvalid, m_wvalid, m_wlast, m_rready, m_bready;
    wire [31:0] m_araddr, m_awaddr;
    wire [7:0] m_arlen, m_awlen;
    wire [2:0] m_arsize, m_awsize;
    wire [1:0] m_arburst, m_awburst;
    wire [3:0] m_arid, m_awid;
    wire [8*BEAT_BYTES-1:0] m_wdata;
    wire [BEAT_BYTES-1:0] m_wstrb;

    // Memory: reads are answered in order, a write is taken burst by burst; each channel pauses at random.
    reg [8*BEAT_BYTES-1:0] memory [0:BEATS-1];
    reg [31:0] read_at [0:63];
    reg [8:0] read_left [0:63];
    reg [5:0] read_first = 0, read_end = 0;
    reg [31:0] write_at = 0;
    reg writes = 0;
    reg [7:0] answers = 0;
    reg opens_ar = 0, opens_r = 0, opens_aw = 0, opens_w = 0, opens_b = 0;
    wire has_read = read_first != read_end;
    wire m_arready = opens_ar && read_end + 6'd1 != read_first;
    wire m_rvalid = has_read && opens_r;
    wire [8*BEAT_BYTES-1:0] m_rdata = memory[read_at[read_first] / BEAT_BYTES];
    wire m_rlast = read_left[read_first] == 1;
    wire m_awready = opens_aw && !writes && answers < 100;
    wire m_wready = opens_w && writes;
    wire m_bvalid = answers != 0 && opens_b;
    integer byte_at;
    integer seed = 1;
    always @(posedge clk) begin
        opens_ar <= $random(seed);
        opens_aw <= $random(seed);
        opens_w <= $random(seed);
        // What is valid stays so until it is taken.
        if (!m_rvalid || m_rready) opens_r <= $random(seed);
        if (!m_bvalid || m_bready) opens_b <= $random(seed);
        if (m_arvalid && m_arready) begin
            read_at[read_end] <= m_araddr;
            read_left[read_end] <= m_arlen + 9'd1;
            read_end <= read_end + 6'd1;
        end
        if (m_rvalid && m_rready) begin
            read_at[read_first] <= read_at[read_first] + BEAT_BYTES;
            read_left[read_first] <= read_left[read_first] - 9'd1;
            if (m_rlast) read_first <= read_first + 6'd1;
        end
        if (m_awvalid && m_awready) begin
            write_at <= m_awaddr;
            writes <= 1;
        end
        if (m_wvalid && m_wready) begin
            for (byte_at = 0; byte_at < BEAT_BYTES; byte_at = byte_at + 1)
                if (m_wstrb[byte_at] === 1'b1)
                    memory[write_at / BEAT_BYTES][8*byte_at +: 8] <= m_wdata[8*byte_at +: 8];
            write_at <= write_at + BEAT_BYTES;
            if (m_wlast) writes <= 0;
        end
        answers <= answers + (m_wvalid && m_wready && m_wlast) - (m_bvalid && m_bready);
        if (!rst && (m_arvalid === 1'bx || m_awvalid === 1'bx || m_wvalid === 1'bx || irq === 1'bx)) begin
            $display("FAIL: an output is unknown at %0t", $time);
            $stop;
        end
    end

    @top@ dut (
        .clk(clk), .rst(rst), .irq(irq),
        .s_axil_awvalid(awvalid), .s_axil_awready(awready), .s_axil_awaddr(awaddr),
        .s_axil_wvalid(wvalid), .s_axil_wready(wready), .s_axil_wdata(wdata), .s_axil_wstrb(4'hf),
        .s_axil_bvalid(bvalid), .s_axil_bready(bready), .s_axil_bresp(bresp),
        .s_axil_arvalid(arvalid), .s_axil_arready(arready), .s_axil_araddr(araddr),
        .s_axil_rvalid(rvalid), .s_axil_rready(rready), .s_axil_rdata(rdata), .s_axil_rresp(rresp),
        .m_axi_arvalid(m_arvalid), .m_axi_arready(m_arready), .m_axi_arid(m_arid), .m_axi_araddr(m_araddr),
        .m_axi_arlen(m_arlen), .m_axi_arsize(m_arsize), .m_axi_arburst(m_arburst),
        .m_axi_rvalid(m_rvalid), .m_axi_rready(m_rready), .m_axi_rid(4'd0), .m_axi_rdata(m_rdata),
        .m_axi_rresp(2'd0), .m_axi_rlast(m_rlast),
        .m_axi_awvalid(m_awvalid), .m_axi_awready(m_awready), .m_axi_awid(m_awid), .m_axi_awaddr(m_awaddr),
        .m_axi_awlen(m_awlen), .m_axi_awsize(m_awsize), .m_axi_awburst(m_awburst),
        .m_axi_wvalid(m_wvalid), .m_axi_wready(m_wready), .m_axi_wdata(m_wdata), .m_axi_wstrb(m_wstrb),
        .m_axi_wlast(m_wlast),
        .m_axi_bvalid(m_bvalid), .m_axi_bready(m_bready), .m_axi_bid(4'd0), .m_axi_bresp(2'd0)
    );

    // Signals change at the falling edge, and are looked at where the clock rises.
    reg taken_a, taken_w;
    task write32(input [31:0] address, input [31:0] data);
        begin
            @(negedge clk);
            awaddr = address[15:0];
            wdata = data;
            {awvalid, wvalid, taken_a, taken_w} = 4'b1100;
            while (!taken_a || !taken_w) begin
                @(posedge clk);
                taken_a = taken_a || awready;
                taken_w = taken_w || wready;
                @(negedge clk);
                awvalid = !taken_a;
                wvalid = !taken_w;
            end
            bready = 1;
            @(posedge clk);
            while (!bvalid) @(posedge clk);
            if (bresp !== 2'd0) begin
                $display("FAIL: the write of %h to %h was refused", data, address);
                $stop;
            end
            @(negedge clk) bready = 0;
        end
    endtask

    reg [31:0] value;
    task read32(input [31:0] address);
        begin
            @(negedge clk);
            araddr = address[15:0];
            arvalid = 1;
            @(posedge clk);
            while (!arready) @(posedge clk);
            @(negedge clk);
            arvalid = 0;
            rready = 1;
            @(posedge clk);
            while (!rvalid) @(posedge clk);
            value = rdata;
            @(negedge clk) rready = 0;
        end
    endtask

    task require(input [31:0] address, input [31:0] expected);
        begin
            read32(address);
            if (value !== expected) begin
                $display("FAIL: register %h must be %h, not %h", address, expected, value);
                $stop;
            end
        end
    endtask

    reg [31:0] loaded [0:2*WRITES-1];
    reg [31:0] expected [0:2*RESULTS-1];
    integer at, wrong, cycles, checked;
    reg [31:0] found;
    task run(input integer writes_count, input integer results_count);
        begin
            for (at = 0; at < writes_count; at = at + 1) write32(loaded[2*at], loaded[2*at+1]);
            write32(@control@, 1);
            cycles = 0;
            while (!irq && cycles < LIMIT) begin
                @(posedge clk);
                cycles = cycles + 1;
            end
            require(@status@, 2);
            write32(@interrupt@, 1);
            for (at = 0; at < results_count; at = at + 1) begin
                found = memory[expected[2*at] / BEAT_BYTES] >> 8 * (expected[2*at] % BEAT_BYTES);
                if (found !== expected[2*at+1]) begin
                    if (wrong < 10)
                        $display("at %h: %h must be %h", expected[2*at], found, expected[2*at+1]);
                    wrong = wrong + 1;
                end
            end
            checked = checked + results_count;
        end
    endtask

    initial begin
        wrong = 0;
        checked = 0;
        repeat (4) @(negedge clk);
        rst = 0;
@require@
        write32(@interrupt_enable@, 1);
@runs@
        if (wrong != 0) begin
            $display("FAIL: %0d of %0d results", wrong, checked);
            $stop;
        end
        $display("PASS: %0d results", checked);
        $finish;
    end
endmodule
