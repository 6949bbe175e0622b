#ifndef NUMBER_TEXT_H
#define NUMBER_TEXT_H

/* The Double nearest to the decimal number in the zero-terminated `text` (round half to even), in the C locale whatever
 * the process has set. Infinite when out of range. Allocates nothing. */
double number_text_to_double(const char *text);

/* 10^n, exact, for n from 0 to 22; a table, where a `switch` would jump. */
static inline double number_text_power_of_ten(unsigned n) {
  static const double powers[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  return powers[n < 22 ? n : 22];
}

#endif
