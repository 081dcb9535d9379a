/* version.c - see version.h. */
#include "cli/version.h"

#include <archive.h>
#include <curl/curl.h>
#include <openssl/crypto.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "backend/backend.h"
#include "base/file.h"
#include "base/hash.h"
#include "cli/cli.h"
#include "nn/whiten.h"
#include "report/assets.h"
#include "serve/http.h"
#include "store/db.h"
#include "kiln_revision.h" /* made by the build */

const char *version_number(void)
{
    return KILN_VERSION;
}

const char *version_revision(void)
{
    return KILN_REVISION;
}

const char *version_compiler(void)
{
#if defined(__clang__)
    return "clang " __clang_version__;
#else
    return "gcc " __VERSION__;
#endif
}

const char *version_flags(void)
{
    return KILN_BUILD_TYPE " " KILN_BUILD_FLAGS;
}

json_t *version_libraries(void)
{
    json_t *o = json_object();
    char lapack[32];
    whiten_lapack(lapack);
    json_object_set_new(o, "openmp", json_integer(_OPENMP));
    json_object_set_new(o, "lapack", json_string(lapack));
    json_object_set_new(o, "openssl", json_string(OpenSSL_version(OPENSSL_VERSION_STRING)));
    json_object_set_new(o, "curl", json_string(curl_version_info(CURLVERSION_NOW)->version));
    const char *archive = archive_version_string() + strlen("libarchive ");
    json_object_set_new(o, "libarchive", json_string(archive));
    json_object_set_new(o, "zlib", json_string(zlibVersion()));
    json_object_set_new(o, "libpng", json_string(png_get_libpng_ver(NULL)));
    json_object_set_new(o, "jansson", json_string(jansson_version_str()));
    json_object_set_new(o, "sqlite", json_string(db_library_version()));
    json_object_set_new(o, "inih", json_string(KILN_INIH_VERSION));
    return o;
}

json_t *version_features(void)
{
    json_t *o = json_object();
    json_object_set_new(o, "mpi", json_false());
    json_object_set_new(o, "cuda", json_false());
    json_object_set_new(o, "charts", json_boolean(asset_find("chart.js") != NULL));
    json_object_set_new(o, "live page", json_boolean(http_available()));
    return o;
}

json_t *version_build(void)
{
    char *bytes, hash[HASH_HEX];
    size_t count;
    json_t *o = json_object();
    json_object_set_new(o, "version", json_string(version_number()));
    json_object_set_new(o, "revision", json_string(version_revision()));
    json_object_set_new(o, "compiler", json_string(version_compiler()));
    json_object_set_new(o, "flags", json_string(version_flags()));
    if (!file_read("/proc/self/exe", &bytes, &count, EXIT_FAILED, NULL)) {
        hash_of(HASH_SHA256, bytes, count, hash);
        json_object_set_new(o, "program_sha256", json_string(hash));
        free(bytes);
    }
    json_object_set_new(o, "libraries", version_libraries());
    return o;
}

void print_version(FILE *out)
{
    fprintf(out, "kiln %s (%s)\n", version_number(), version_revision());
    fprintf(out, "built with %s, %s\n", version_compiler(), version_flags());
    fprintf(out, "kernel tiers:");
    for (enum tier t = TIER_REF; t < TIER_COUNT; t++)
        fprintf(out, " %s%s", tier_name(t), tier_available(t) ? "" : " (not on this machine)");
    fprintf(out, "\nlibraries:");
    json_t *libraries = version_libraries();
    const char *name;
    json_t *version;
    json_object_foreach(libraries, name, version) {
        if (json_is_string(version))
            fprintf(out, " %s %s", name, json_string_value(version));
        else
            fprintf(out, " %s %lld", name, (long long)json_integer_value(version));
    }
    fprintf(out, "\n");
    json_decref(libraries);
}
