// A host and a memory around an array with beats of 8 bytes, driven by a script: many short runs in one process.
//
// Arguments: the bytes of memory, the writes of a program (address and data, a line each), a script; without one, its
// lines come from the standard input, each is answered at once. Commands, a line each:
//   memory                 memory is what it was at first
//   load                   the writes of the program
//   write ADDRESS DATA     a write; prints its response if it is not OKAY
//   read ADDRESS           prints the value
//   wait CYCLES
//   arm CYCLES LENGTH      a reset in so many cycles; what the script is at then is given up, up to `after`
//   after                  waits until the armed reset is over
//   forgetful YES          whether a reset reaches the memory's reads as well (1) or they are answered still (0)
//   quiet CYCLES           prints how many cycles had a request, a beat or an interrupt
//   settle                 waits until memory owes no read
//   irq LIMIT              waits for the interrupt; prints whether it came
//   digest                 prints a digest of memory
//   shares AR R AW W B     of 8 cycles, in how many a channel moves
//   poke ADDRESS HEX       bytes of memory
//   peek ADDRESS COUNT     prints them
#include "Vtop.h"
#include "verilated.h"
#include <cstdint>
#include <cstdio>
#include <deque>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

double sc_time_stamp() { return 0; }

struct Reset {};

struct Burst {
    uint64_t address;
    int beats;
    long due;
};

struct Bench {
    Vtop top;
    std::vector<uint8_t> first, bytes;
    std::vector<std::pair<uint32_t, uint32_t>> program;
    std::deque<Burst> reads, writes;
    struct Beat {
        uint64_t data;
        uint32_t strobes;
    };
    std::deque<Beat> beats;
    int answers = 0, armed = -1, length = 0, resetting = 0;
    bool forgetful = true, requests = false;
    int shares[5] = {8, 8, 8, 8, 8};
    uint32_t noise = 1;
    long now = 0;

    bool moves(int channel) {
        noise = noise * 1664525u + 1013904223u;
        return int(noise >> 24 & 7) < shares[channel];
    }

    void tick() {
        if (armed == 0) resetting = length;
        if (armed >= 0) --armed;
        const bool in_reset = resetting > 0;
        top.rst = in_reset;
        top.m_axi_arready = moves(0);
        const bool has_beat = !reads.empty() && reads.front().due <= now && (held || moves(1));
        top.m_axi_rvalid = has_beat;
        held = has_beat;
        uint64_t word = 0;
        if (has_beat)
            for (int at = 0; at < 8; ++at)
                word |= uint64_t(bytes.at((reads.front().address + at) % bytes.size())) << 8 * at;
        top.m_axi_rdata = word;
        top.m_axi_rlast = has_beat && reads.front().beats == 1;
        top.m_axi_rresp = 0;
        top.m_axi_awready = moves(2);
        top.m_axi_wready = moves(3);
        top.m_axi_bvalid = answers > 0 && (owes || moves(4));
        owes = top.m_axi_bvalid;
        top.m_axi_bresp = 0;
        top.clk = 0;
        top.eval();
        requests = !in_reset && (top.m_axi_arvalid || top.m_axi_awvalid || top.m_axi_wvalid || top.irq);
        seen = {bool(top.s_axil_awready), bool(top.s_axil_wready), bool(top.s_axil_bvalid), bool(top.s_axil_arready),
                bool(top.s_axil_rvalid)};
        value = top.s_axil_rdata;
        response = top.s_axil_bresp;
        const bool read = top.m_axi_arvalid && top.m_axi_arready, beat = top.m_axi_rvalid && top.m_axi_rready;
        const bool write = top.m_axi_awvalid && top.m_axi_awready, sent = top.m_axi_wvalid && top.m_axi_wready;
        const bool answered = top.m_axi_bvalid && top.m_axi_bready;
        const Burst asked{top.m_axi_araddr, top.m_axi_arlen + 1, now + 6};
        const Burst given{top.m_axi_awaddr, top.m_axi_awlen + 1, 0};
        const Beat data{top.m_axi_wdata, top.m_axi_wstrb};
        top.clk = 1;
        top.eval();
        ++now;
        if (beat) {
            held = false;
            reads.front().address += 8;
            if (!--reads.front().beats) reads.pop_front();
        }
        if (answered) {
            --answers;
            owes = false;
        }
        if (in_reset) {
            writes.clear();
            beats.clear();
            answers = 0;
            owes = false;
            if (forgetful) {
                reads.clear();
                held = false;
            }
            if (--resetting == 0) throw Reset{};
            return;
        }
        if (read) reads.push_back(asked);
        if (write) writes.push_back(given);
        if (sent) beats.push_back(data);
        while (!writes.empty() && int(beats.size()) >= writes.front().beats) {
            for (int at = 0; at < writes.front().beats; ++at) {
                for (int byte = 0; byte < 8; ++byte)
                    if (beats.front().strobes >> byte & 1)
                        bytes.at((writes.front().address + 8 * at + byte) % bytes.size()) =
                            uint8_t(beats.front().data >> 8 * byte);
                beats.pop_front();
            }
            writes.pop_front();
            ++answers;
        }
    }

    struct Seen {
        bool awready, wready, bvalid, arready, rvalid;
    } seen{};
    uint32_t value = 0, response = 0;
    bool held = false, owes = false;

    void write(uint32_t address, uint32_t data) {
        top.s_axil_awvalid = top.s_axil_wvalid = 1;
        top.s_axil_awaddr = address;
        top.s_axil_wdata = data;
        top.s_axil_wstrb = 15;
        top.s_axil_bready = 1;
        while (true) {
            tick();
            if (seen.awready) top.s_axil_awvalid = 0;
            if (seen.wready) top.s_axil_wvalid = 0;
            if (seen.bvalid) break;
        }
        top.s_axil_bready = 0;
        if (response) std::printf("response %u\n", response);
    }

    uint32_t read(uint32_t address) {
        top.s_axil_arvalid = 1;
        top.s_axil_araddr = address;
        top.s_axil_rready = 1;
        while (true) {
            tick();
            if (seen.arready) top.s_axil_arvalid = 0;
            if (seen.rvalid) break;
        }
        top.s_axil_rready = 0;
        return value;
    }

    void drop() {
        top.s_axil_awvalid = top.s_axil_wvalid = top.s_axil_bready = top.s_axil_arvalid = top.s_axil_rready = 0;
    }

    void execute(const std::string& line) {
        std::istringstream words(line);
        std::string what;
        uint32_t a = 0, b = 0;
        words >> what;
        if (what == "memory") {
            bytes = first;
        } else if (what == "load") {
            for (const auto& [address, data] : program) write(address, data);
        } else if (what == "write") {
            words >> a >> b;
            write(a, b);
        } else if (what == "read") {
            words >> a;
            std::printf("%u\n", read(a));
        } else if (what == "wait") {
            for (words >> a; a; --a) tick();
        } else if (what == "arm") {
            words >> armed >> length;
        } else if (what == "after") {
            while (armed >= 0 || resetting) tick();
        } else if (what == "forgetful") {
            words >> forgetful;
        } else if (what == "quiet") {
            for (words >> a; a; --a) {
                tick();
                b += requests;
            }
            std::printf("%u\n", b);
        } else if (what == "settle") {
            while (!reads.empty()) tick();
        } else if (what == "irq") {
            for (words >> a; a && !top.irq; --a) tick();
            std::printf("%u\n", unsigned(top.irq));
        } else if (what == "digest") {
            uint64_t digest = 14695981039346656037ull;
            for (uint8_t byte : bytes) digest = (digest ^ byte) * 1099511628211ull;
            std::printf("%llx\n", static_cast<unsigned long long>(digest));
        } else if (what == "poke") {
            std::string hex;
            words >> a >> hex;
            for (size_t at = 0; at < hex.size() / 2; ++at)
                bytes.at(a + at) = uint8_t(std::stoul(hex.substr(2 * at, 2), nullptr, 16));
        } else if (what == "peek") {
            for (words >> a >> b; b; --b) std::printf("%02x", bytes.at(a++));
            std::printf("\n");
        } else if (what == "shares") {
            for (int& share : shares) words >> share;
        }
    }
};

int main(int count, char** arguments) {
    Bench bench;
    std::ifstream memory(arguments[1], std::ios::binary), program(arguments[2]), file;
    if (count > 3) file.open(arguments[3]);
    std::istream& script = count > 3 ? file : std::cin;
    bench.first.assign(std::istreambuf_iterator<char>(memory), {});
    for (uint32_t address, data; program >> address >> data;) bench.program.push_back({address, data});
    bool skips = false;
    for (std::string line; std::getline(script, line);) {
        if (skips && line != "after") continue;
        skips = false;
        try {
            bench.execute(line);
            std::fflush(stdout);
        } catch (const Reset&) {
            bench.drop();
            skips = line != "after";
        }
    }
}
