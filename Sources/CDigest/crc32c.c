// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78): with the instruction made for it where the processor has one, else by
// tables, eight bytes a step (Kounavis and Berry, "A Systematic Approach to Building High Performance Software-based CRC
// Generators", 2005).
#include "digest.h"
#include <string.h>

static uint32_t tables[8][256];

__attribute__((constructor)) static void fill(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++) value = value & 1 ? value >> 1 ^ 0x82F63B78u : value >> 1;
        tables[0][i] = value;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int level = 1; level < 8; level++) tables[level][i] = tables[level - 1][i] >> 8 ^ tables[0][tables[level - 1][i] & 0xFF];
}

uint32_t rw_crc32c_portable(uint32_t before, const uint8_t *bytes, size_t count) {
    uint32_t value = ~before;
    for (; count >= 8; count -= 8, bytes += 8) {
        uint32_t low = value ^ ((uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24);
        value = tables[7][low & 0xFF] ^ tables[6][low >> 8 & 0xFF] ^ tables[5][low >> 16 & 0xFF] ^ tables[4][low >> 24]
            ^ tables[3][bytes[4]] ^ tables[2][bytes[5]] ^ tables[1][bytes[6]] ^ tables[0][bytes[7]];
    }
    for (; count > 0; count--, bytes++) value = value >> 8 ^ tables[0][(value ^ *bytes) & 0xFF];
    return ~value;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

// The instruction gives a result every cycle but takes three: three stripes at a time, put together by their lengths.
#define STRIPE 1024

// shifts[k][b]: the state after STRIPE zero bytes, for byte k of the state before being b.
static uint32_t shifts[4][256];

__attribute__((target("sse4.2"))) static uint32_t zeros(uint32_t value) {
    for (int i = 0; i < STRIPE / 8; i++) value = (uint32_t)_mm_crc32_u64(value, 0);
    return value;
}

static uint32_t shift(uint32_t value) {
    return shifts[0][value & 0xFF] ^ shifts[1][value >> 8 & 0xFF] ^ shifts[2][value >> 16 & 0xFF] ^ shifts[3][value >> 24];
}

static int has_instruction;

__attribute__((constructor)) static void look(void) {
    __builtin_cpu_init();
    has_instruction = __builtin_cpu_supports("sse4.2");
    if (!has_instruction) return;
    for (uint32_t i = 0; i < 256; i++)
        for (int byte = 0; byte < 4; byte++) shifts[byte][i] = zeros(i << 8 * byte);
}

static uint64_t load(const uint8_t *bytes) {
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

__attribute__((target("sse4.2"))) static uint32_t fast(uint32_t before, const uint8_t *bytes, size_t count) {
    uint64_t value = (uint32_t)~before;
    for (; count >= 3 * STRIPE; count -= 3 * STRIPE, bytes += 3 * STRIPE) {
        uint64_t second = 0, third = 0;
        for (size_t i = 0; i < STRIPE; i += 8) {
            value = _mm_crc32_u64(value, load(bytes + i));
            second = _mm_crc32_u64(second, load(bytes + STRIPE + i));
            third = _mm_crc32_u64(third, load(bytes + 2 * STRIPE + i));
        }
        value = shift(shift((uint32_t)value) ^ (uint32_t)second) ^ (uint32_t)third;
    }
    for (; count >= 8; count -= 8, bytes += 8) value = _mm_crc32_u64(value, load(bytes));
    for (; count > 0; count--, bytes++) value = _mm_crc32_u8((uint32_t)value, *bytes);
    return ~(uint32_t)value;
}

uint32_t rw_crc32c(uint32_t before, const uint8_t *bytes, size_t count) {
    return has_instruction ? fast(before, bytes, count) : rw_crc32c_portable(before, bytes, count);
}
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>

uint32_t rw_crc32c(uint32_t before, const uint8_t *bytes, size_t count) {
    uint32_t value = ~before;
    for (; count >= 8; count -= 8, bytes += 8) {
        uint64_t word;
        memcpy(&word, bytes, sizeof word);
        value = __crc32cd(value, word);
    }
    for (; count > 0; count--, bytes++) value = __crc32cb(value, *bytes);
    return ~value;
}
#else
uint32_t rw_crc32c(uint32_t before, const uint8_t *bytes, size_t count) { return rw_crc32c_portable(before, bytes, count); }
#endif
