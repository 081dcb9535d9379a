/* fault.h - makes the Nth call that changes a file fail.
 *
 * A shared library that stands before libc: linked into a test program, or preloaded into a whole
 * `kiln train`. It counts open (for writing), write, fsync, rename, mkdir, ftruncate and close, in
 * the forms that kiln and SQLite use, on paths that contain a given text, and makes the Nth of them
 * fail. A failing close still closes.
 *
 * For preloading: KILN_FAULT_AT=N, KILN_FAULT_PATH=text, KILN_FAULT_ERRNO=number (ENOSPC),
 * KILN_FAULT_SIGNAL=number (the process gets that signal at the Nth call: 9 is a kill -9 at a known
 * place), KILN_FAULT_STICKY=1 (every later call but close fails too, as on a full disk), and
 * KILN_FAULT_REPORT=file, which receives the name of the call that failed: a loop over N ends when
 * a run leaves no report.
 */
#ifndef KILN_TESTS_FAULT_H
#define KILN_TESTS_FAULT_H

/* From now on the Nth call (1, 2 ...) on a path with `path` in it fails with `errno_value`; N = 0:
 * none. Starts the count anew. */
void fault_arm(int n, const char *path, int errno_value, int sticky);

/* Whether the Nth call has come. */
int fault_hit(void);

#endif
