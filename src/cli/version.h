/* version.h - what this program was built from and with. */
#ifndef KILN_CLI_VERSION_H
#define KILN_CLI_VERSION_H

#include <jansson.h>

const char *version_number(void);   /* "0.1.0" */
const char *version_revision(void); /* git's, with "-dirty" behind it if files differed */
const char *version_compiler(void); /* "gcc 12.2.0" */
const char *version_flags(void);    /* build type and flags */

/* {"openssl": "3.0.15", ...}: the versions that run, where a library tells; else those that were
 * there at build time. The caller ends it with json_decref. */
json_t *version_libraries(void);

/* All of it, and the program's own hash, for the manifest of a run. The caller ends it with
 * json_decref. */
json_t *version_build(void);

/* {"mpi": false, ...}: optional parts, and whether they are in. */
json_t *version_features(void);

#endif
