#ifndef NUMBER_TEXT_H
#define NUMBER_TEXT_H

/* The Double nearest to the decimal number in the zero-terminated `text` (round half to even), in the C locale whatever
 * the process has set. Infinite when out of range. Allocates nothing. */
double number_text_to_double(const char *text);

#endif
