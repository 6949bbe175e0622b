#define _GNU_SOURCE
#include "number_text.h"

#include <locale.h>
#include <stdlib.h>

double number_text_to_double(const char *text) {
    // For "C" glibc returns its static locale object: nothing is allocated and nothing has to be freed.
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return c_locale ? strtod_l(text, NULL, c_locale) : strtod(text, NULL);
}
