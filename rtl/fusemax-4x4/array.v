module array(
    input clk,
    input rst,
    input [62:0] corner,
    input bank_enable,
    input [1:0] bank_row,
    input [13:0] bank_address,
    input [63:0] bank_data,
    input query_enable,
    input [1:0] query_column,
    input [4:0] query_address,
    input [63:0] query_data,
    input [31:0] factor,
    input [31:0] factor_high,
    input [31:0] factor_low,
    input [6:0] drain_address,
    input drain_parity,
    input [1:0] drain_kind,
    input [1:0] drain_group,
    input fill_enable,
    input [1:0] fill_kind,
    input [6:0] fill_address,
    input fill_beat,
    input [63:0] fill_data,
    output [31:0] drain_words,
    output [31:0] drain_sums,
    output results_done
);
    localparam ROWS = 4;
    localparam COLUMNS = 4;
    localparam DIVIDERS = 1;
    localparam ROW_BITS = 39;
    localparam LINK_BITS = 30;
    localparam TOP_BITS = 14;
    localparam QUERY_BITS = 7;
    localparam QUEUE_BITS = 1;
    localparam VECTOR_BITS = 16;
    localparam SLOT_AT = 5;
    localparam SLOT_BITS = 3;
    localparam OP_BITS = 3;
    localparam ROW_INDEX_BITS = 2;
    localparam COLUMN_INDEX_BITS = 2;
    localparam BEAT_WORDS = 2;
    localparam BEAT_BITS = 1;
    reg [1:0] group;

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
                .maximum_queue(maximum_queue), .maximum(maximum), .factor_high(factor_high), .factor_low(factor_low),
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
endmodule
