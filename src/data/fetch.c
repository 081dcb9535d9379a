/* fetch.c - see fetch.h. The only file that knows libcurl. */
#define _GNU_SOURCE /* O_CLOEXEC, flock */
#include "data/fetch.h"

#include <assert.h>
#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"

enum { ROUNDS = 4, CAUSES_SIZE = 700 };

/* How long an address may take to connect, in seconds: the first in the list longest, so that a
 * machine without a network finds out soon. */
enum { CONNECT_FIRST = 5, CONNECT_OTHERS = 2 };

/* Bytes per second, held for SLOW_SECONDS, below which an address is left: in the first round, and
 * in those after it. */
enum { SLOWEST_FIRST = 100 * 1024, SLOWEST_LATER = 1, SLOW_SECONDS = 15, REPORT_SECONDS = 5 };

/* The file being fetched. */
struct transfer {
    const struct download *want;
    char path[4096], part[4096 + 8];
    int fd;                /* of the part, locked */
    uint64_t have;         /* bytes in the part */
    int write_error;       /* errno of a failed write, or 0 */
    bool too_long;         /* the address sends more than it should */
    double reported;       /* when progress was last said */
};

static size_t receive(char *data, size_t size, size_t count, void *user)
{
    struct transfer *t = user;
    size_t bytes = size * count;
    if (t->have + bytes > t->want->bytes) {
        t->too_long = true;
        return 0;
    }
    if (file_put(t->fd, data, bytes) != 0) {
        t->write_error = errno;
        return 0;
    }
    t->have += bytes;
    double now = clock_seconds();
    if (now - t->reported > REPORT_SECONDS) {
        t->reported = now;
        log_say("%s: %llu of %llu MiB", t->want->file, (unsigned long long)t->have >> 20,
                (unsigned long long)t->want->bytes >> 20);
    }
    return bytes;
}

/* Cuts the part to nothing. */
static int start_over(struct transfer *t, struct err *e)
{
    t->have = 0;
    if (ftruncate(t->fd, 0) != 0 || lseek(t->fd, 0, SEEK_SET) != 0)
        return err_errno(e, EXIT_FAILED, errno, "cannot empty '%s'", t->part);
    return 0;
}

/* Whether the file at `path` has the published sum; fills e if not. */
static int check_sum(const struct download *d, const char *path, struct err *e)
{
    static char block[1 << 16];
    FILE *f = fopen(path, "rb");
    if (!f)
        return err_errno(e, EXIT_FAILED, errno, "cannot open '%s'", path);
    struct hash h;
    char hex[HASH_HEX];
    hash_init(&h, d->sha256 ? HASH_SHA256 : HASH_MD5);
    for (size_t n; (n = fread(block, 1, sizeof block, f)) > 0;)
        hash_add(&h, block, n);
    bool broken = ferror(f);
    fclose(f);
    hash_hex(&h, hex);
    if (broken)
        return err_set(e, EXIT_FAILED, "cannot read '%s'", path);
    const char *published = d->sha256 ? d->sha256 : d->md5;
    if (strcmp(hex, published) != 0)
        return err_set(e, EXIT_DATA, "its %s is %s, but %s is published",
                       d->sha256 ? "SHA-256" : "MD5", hex, published);
    return 0;
}

static CURL *make_request(struct transfer *t, const char *url, long connect_seconds, long slow,
                          char text[CURL_ERROR_SIZE])
{
    CURL *curl = curl_easy_init();
    if (!curl)
        return NULL;
    text[0] = '\0';
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 5L);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, connect_seconds);
    /* Else the end of the request waits for a name server that does not answer. */
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, slow);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)SLOW_SECONDS);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "kiln");
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, text);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(curl, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)t->have);
    return curl;
}

/* How an attempt ended. */
enum outcome { GOT_ALL, GOT_SOME, GOT_NOTHING, REFUSED_TO_RESUME };

/* Asks one address for the rest of the file. Every outcome but GOT_ALL leaves its cause in e; a
 * write error is told by t->write_error. */
static enum outcome ask(struct transfer *t, const char *url, long connect_seconds, long slow,
                        struct err *e)
{
    char text[CURL_ERROR_SIZE];
    CURL *curl = make_request(t, url, connect_seconds, slow, text);
    if (!curl) {
        err_set(e, EXIT_FAILED, "libcurl cannot be started");
        return GOT_NOTHING;
    }
    uint64_t before = t->have;
    t->too_long = false;
    CURLcode code = curl_easy_perform(curl);
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    if (code == CURLE_OK && t->have == t->want->bytes)
        return GOT_ALL;
    unsigned long long have = t->have, bytes = t->want->bytes;
    if (t->write_error)
        err_errno(e, EXIT_FAILED, t->write_error, "cannot write '%s'", t->part);
    else if (t->too_long)
        err_set(e, EXIT_DATA, "it sends more than %llu bytes", bytes);
    else if (code == CURLE_OK)
        err_set(e, EXIT_DATA, "it sends %llu bytes, not %llu", have, bytes);
    else if (code == CURLE_COULDNT_RESOLVE_HOST)
        err_set(e, EXIT_DATA, "its name cannot be resolved (no network?)");
    else
        err_set(e, EXIT_DATA, "%s", text[0] ? text : curl_easy_strerror(code));
    e->text[0] = (char)tolower((unsigned char)e->text[0]);
    /* 416: the server finds nothing behind the part; RANGE_ERROR: it always sends everything. */
    if (before > 0 && (code == CURLE_RANGE_ERROR || status == 416))
        return REFUSED_TO_RESUME;
    return t->have > before ? GOT_SOME : GOT_NOTHING;
}

/* Tries one address. Returns 0 when the file is complete and right. *promising is set when the part
 * has grown. */
static int try_address(struct transfer *t, const char *url, long connect_seconds, long slow,
                       bool *promising, struct err *e)
{
    bool resumed = t->have > 0;
    enum outcome outcome = t->have == t->want->bytes ? GOT_ALL
                           : ask(t, url, connect_seconds, slow, e);
    if (outcome == REFUSED_TO_RESUME && !t->write_error) {
        if (start_over(t, e) != 0)
            return -1;
        resumed = false;
        outcome = ask(t, url, connect_seconds, slow, e);
    }
    *promising |= outcome == GOT_SOME && !t->too_long;
    if (outcome == GOT_ALL && check_sum(t->want, t->part, e) == 0)
        return 0;
    if (t->write_error || (outcome != GOT_ALL && !t->too_long))
        return -1;
    /* Wrong bytes. If the part is older than this attempt, it may be to blame: once more. */
    struct err again;
    if (start_over(t, &again) != 0) {
        *e = again;
        t->write_error = EIO;
        return -1;
    }
    return resumed ? try_address(t, url, connect_seconds, slow, promising, e) : -1;
}

/* Opens the part, so that no other kiln writes to it, and sees how far it got. */
static int open_part(struct transfer *t, struct err *e)
{
    t->fd = open(t->part, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (t->fd < 0)
        return err_errno(e, EXIT_FAILED, errno, "cannot write '%s'", t->part);
    if (flock(t->fd, LOCK_EX | LOCK_NB) != 0)
        return err_errno(e, EXIT_FAILED, errno, "cannot lock '%s' (is it being fetched already?)",
                         t->part);
    off_t size = lseek(t->fd, 0, SEEK_END);
    if (size < 0)
        return err_errno(e, EXIT_FAILED, errno, "cannot read '%s'", t->part);
    t->have = (uint64_t)size;
    return t->have > t->want->bytes ? start_over(t, e) : 0;
}

static int finish_part(struct transfer *t, struct err *e)
{
    if (fsync(t->fd) != 0 || rename(t->part, t->path) != 0)
        return err_errno(e, EXIT_FAILED, errno, "cannot write '%s'", t->path);
    return file_sync_folder(t->path, e);
}

static void host_of(const char *url, char host[128])
{
    const char *start = strstr(url, "://");
    start = start ? start + 3 : url;
    snprintf(host, 128, "%.*s", (int)strcspn(start, "/"), start);
}

/* Goes through the addresses, and again as long as one of them gives more of the file. */
static int try_all(struct transfer *t, const char *const *urls, struct err *e)
{
    char causes[CAUSES_SIZE] = "", host[128];
    bool promising = true;
    for (int round = 0; round < ROUNDS && promising; round++) {
        promising = false;
        size_t used = 0;
        for (int i = 0; urls[i]; i++) {
            struct err cause = {0};
            host_of(urls[i], host);
            log_say("fetching %s (%.1f MiB%s) from %s", t->want->file,
                    (double)t->want->bytes / (1 << 20), t->have ? ", going on" : "", host);
            long patience = i == 0 || round > 0 ? CONNECT_FIRST : CONNECT_OTHERS;
            long slow = round > 0 ? SLOWEST_LATER : SLOWEST_FIRST;
            if (try_address(t, urls[i], patience, slow, &promising, &cause) == 0)
                return 0;
            if (t->write_error) {
                *e = cause;
                return -1;
            }
            log_say("%s: %s", host, cause.text);
            int n = snprintf(causes + used, sizeof causes - used, "%s%s: %s", used ? "; " : "",
                             host, cause.text);
            used += n < 0 ? 0 : (size_t)n;
            used = used < sizeof causes ? used : sizeof causes - 1;
        }
    }
    return err_set(e, EXIT_DATA, "cannot fetch '%s': %s", t->want->file, causes);
}

int fetch_file(const struct download *d, const char *const *urls, const char *folder,
               struct err *e)
{
    struct transfer t = {.want = d, .fd = -1};
    struct stat s;
    assert(d->bytes > 0 && (d->sha256 || d->md5));
    if (file_make_folders(folder, e) != 0 ||
        file_join(t.path, sizeof t.path, folder, d->file, e) != 0)
        return -1;
    snprintf(t.part, sizeof t.part, "%s.part", t.path);
    if (stat(t.path, &s) == 0 && (uint64_t)s.st_size == d->bytes &&
        check_sum(d, t.path, NULL) == 0)
        return 0;

    curl_global_init(CURL_GLOBAL_DEFAULT);
    t.reported = clock_seconds();
    int status = open_part(&t, e);
    if (status == 0)
        status = try_all(&t, urls ? urls : d->urls, e);
    if (status == 0)
        status = finish_part(&t, e);
    if (t.fd >= 0) {
        /* An empty part says nothing; it is removed before the lock goes. */
        if (status != 0 && t.have == 0)
            unlink(t.part);
        close(t.fd);
    }
    curl_global_cleanup();
    return status;
}
