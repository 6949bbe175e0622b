#ifndef RNN_DIGEST_H
#define RNN_DIGEST_H
#include <stddef.h>
#include <stdint.h>

/// SHA-256 (FIPS 180-4) of `count` bytes; `out` receives 32 bytes.
void rw_sha256(const uint8_t *bytes, size_t count, uint8_t out[32]);

#endif
