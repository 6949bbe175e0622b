#ifndef RNN_DIGEST_H
#define RNN_DIGEST_H
#include <stddef.h>
#include <stdint.h>

/// SHA-256 (FIPS 180-4) of `count` bytes; `out` receives 32 bytes.
void rw_sha256(const uint8_t *bytes, size_t count, uint8_t out[32]);

/// CRC-32C of `count` bytes that follow others whose checksum is `before` (0 for none), and the same without special instructions.
uint32_t rw_crc32c(uint32_t before, const uint8_t *bytes, size_t count);
uint32_t rw_crc32c_portable(uint32_t before, const uint8_t *bytes, size_t count);

#endif
