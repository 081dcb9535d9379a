/* waiting.h - how threads wait for each other. */
#ifndef KILN_CLI_WAITING_H
#define KILN_CLI_WAITING_H

/* GNU OpenMP lets a thread that waits spin for milliseconds before it sleeps, which is fast on an
 * idle machine and ruinous on a busy one: the thread that would end the waiting has lost its core
 * to the one that waits. Some microseconds of spinning keep the speed of the one without the
 * collapse of the other (docs/pitfalls.md has the figures). The library reads its settings before
 * main begins, so this starts the program again, with GOMP_SPINCOUNT set; it does nothing when the
 * environment has GOMP_SPINCOUNT or OMP_WAIT_POLICY, and where it cannot. */
void waiting_shorten(char **argv);

#endif
