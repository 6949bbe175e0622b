#pragma once
#include <zlib.h>

// inflateInit2 is a macro. `bits` 31: gzip, 47: gzip or zlib by its header.
static inline int rw_inflate_init(z_stream *stream, int bits) { return inflateInit2(stream, bits); }
