/* process.h - how much memory this process has. */
#ifndef KILN_BASE_PROCESS_H
#define KILN_BASE_PROCESS_H

#include <stddef.h>

/* Bytes of memory that are resident now, and the most that ever were; 0 if the system does not
 * say. Both count the program, its libraries and what threads have on their stacks. */
size_t process_resident(void);
size_t process_resident_peak(void);

#endif
