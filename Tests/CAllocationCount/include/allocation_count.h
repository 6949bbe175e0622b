#ifndef ALLOCATION_COUNT_H
#define ALLOCATION_COUNT_H
#include <stdint.h>

/* Calls of malloc, calloc, realloc and aligned allocation by the calling thread since it began. */
uint64_t allocation_count(void);
/* 0 under a sanitizer, which has an allocator of its own: then none is counted. */
int allocations_are_counted(void);

#endif
