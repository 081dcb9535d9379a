/* log.h - talk, on stderr. Only cli/ prints results; anything else that must be said aloud while
 * it happens (a step down, a missing permission) goes through here. */
#ifndef KILN_BASE_LOG_H
#define KILN_BASE_LOG_H

enum log_level { LOG_QUIET, LOG_NORMAL, LOG_VERBOSE };

void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* "kiln: <text>\n" unless the level is LOG_QUIET. */
void log_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "kiln: warning: <text>\n" at every level. */
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "kiln: <text>\n" at every level: the sentence that the program ends with. */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
