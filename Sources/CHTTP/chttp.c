#define _GNU_SOURCE
#include "chttp.h"
#include <curl/curl.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int chttp_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

struct sink { chttp_answer *answer; size_t used; };

static size_t take(char *data, size_t size, size_t count, void *context) {
    struct sink *sink = context;
    size_t bytes = size * count, room = sizeof sink->answer->body - 1 - sink->used;
    size_t kept = bytes < room ? bytes : room;
    memcpy(sink->answer->body + sink->used, data, kept);
    sink->used += kept;
    sink->answer->body[sink->used] = 0;
    return bytes;
}

int chttp_start(void) { return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -1; }

const char *chttp_version(void) { return curl_version(); }

int chttp_send(const chttp_request *request, chttp_answer *answer) {
    memset(answer, 0, sizeof *answer);
    CURL *curl = curl_easy_init();
    if (!curl) {
        strcpy(answer->error, "out of memory");
        return -1;
    }
    struct curl_slist *headers = NULL;
    for (size_t i = 0; i < request->header_count; i++) headers = curl_slist_append(headers, request->headers[i]);
    headers = curl_slist_append(headers, "Expect:");
    struct sink sink = {answer, 0};
    curl_easy_setopt(curl, CURLOPT_URL, request->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (request->body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
    }
    if (request->user) curl_easy_setopt(curl, CURLOPT_USERPWD, request->user);
    if (request->ca_file) curl_easy_setopt(curl, CURLOPT_CAINFO, request->ca_file);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, request->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "rnn-notify");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &sink);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, answer->error);
    CURLcode code = curl_easy_perform(curl);
    if (code == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->status);
    else if (!answer->error[0])
        strncpy(answer->error, curl_easy_strerror(code), sizeof answer->error - 1);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return code == CURLE_OK ? 0 : -1;
}
