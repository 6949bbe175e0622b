/* One HTTP request through libcurl, whose options are variadic and so out of Swift's reach. */
#ifndef CHTTP_H
#define CHTTP_H
#include <stddef.h>

typedef struct {
    const char *url;
    const char *method;          /* "POST", "GET", "PUT" */
    const char *const *headers;  /* "Name: value" */
    size_t header_count;
    const void *body;
    size_t body_length;
    const char *user;            /* "name:password" or NULL */
    const char *ca_file;         /* NULL: the system's */
    long timeout_ms;
} chttp_request;

typedef struct {
    long status;                 /* 0: no answer came */
    char body[1024];             /* beginning of the answer */
    char error[256];             /* why no answer came */
} chttp_answer;

/* Call once before any thread uses it. 0: ready. */
int chttp_start(void);
/* 0: an answer came, whatever its status. */
int chttp_send(const chttp_request *request, chttp_answer *answer);
const char *chttp_version(void);
/* A pipe that no child inherits; for programs that are handed what is told. */
int chttp_pipe(int ends[2]);
#endif
