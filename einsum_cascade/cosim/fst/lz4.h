// What Verilator's FST writer asks of LZ4, so that waveforms need no package of the system.
//
// The blocks are valid LZ4 (https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md) but hold literals only: the
// writer keeps what it has where a block is no smaller, and only the names of the signals are written as LZ4 whatever
// their size.
#pragma once

#include <cstring>

inline int LZ4_compressBound(int size) { return size + size / 255 + 16; }

inline int LZ4_compress_default(const char* source, char* target, int size, int /*capacity*/) {
    char* at = target;
    *at++ = static_cast<char>((size < 15 ? size : 15) << 4);
    if (size >= 15) {
        int left = size - 15;
        for (; left >= 255; left -= 255) *at++ = static_cast<char>(255);
        *at++ = static_cast<char>(left);
    }
    std::memcpy(at, source, static_cast<std::size_t>(size));
    return static_cast<int>(at - target) + size;
}
