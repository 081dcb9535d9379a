/* clock.h - time. */
#ifndef KILN_BASE_CLOCK_H
#define KILN_BASE_CLOCK_H

/* Seconds from some fixed point, never going back; for measuring. */
double clock_seconds(void);

/* Seconds since 1970 in UTC; for log records. */
double clock_wall(void);

/* Seconds since 1970 of a time as kiln writes it, "2026-11-23T20:32:59Z"; NaN for another text. */
double clock_parse(const char *text);

/* Writes the wall time as "20261123-203259" (UTC) into `text[16]`. */
void clock_stamp(char text[16]);

#endif
