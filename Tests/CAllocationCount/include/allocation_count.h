#ifndef ALLOCATION_COUNT_H
#define ALLOCATION_COUNT_H
#include <stdint.h>

/* Calls of malloc, calloc, realloc and aligned allocation by the calling thread since it began. */
uint64_t allocation_count(void);

#endif
