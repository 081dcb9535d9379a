/* test_data_fetch.c - downloads from a web server of our own on the loopback address, one that can
 * be cut off, wrong, too long or not there. See range_server.py for its addresses. */
#define _GNU_SOURCE /* truncate, ftruncate, flock */
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "data/fetch.h"
#include "scratch.h"

enum { BYTES = 300000, ADDRESSES = 4 };

struct server {
    pid_t pid;
    int port;
    struct scratch at;
    uint8_t body[BYTES];
    char sha256[HASH_HEX], md5[HASH_HEX];
};

/* The server's address for `how`; a static room for each of a few. */
static const char *address(const struct server *s, const char *how)
{
    static char rooms[ADDRESSES * 2][128];
    static int next;
    char *room = rooms[next++ % (ADDRESSES * 2)];
    snprintf(room, sizeof rooms[0], "http://127.0.0.1:%d/%s/file", s->port, how);
    return room;
}

/* A folder for one test, and an empty log. */
static const char *fresh(const struct server *s, const char *name)
{
    unlink(scratch_path(&s->at, "log"));
    return scratch_path(&s->at, name);
}

static void assert_requests(const struct server *s, const char *want)
{
    char *text = NULL;
    size_t bytes = 0;
    file_read(scratch_path(&s->at, "log"), &text, &bytes, EXIT_FAILED, NULL);
    assert_string_equal(text ? text : "", want);
    free(text);
}

static void assert_whole(const struct server *s, const char *folder)
{
    char path[1200], *text;
    size_t bytes;
    snprintf(path, sizeof path, "%s/file", folder);
    assert_int_equal(file_read(path, &text, &bytes, EXIT_FAILED, NULL), 0);
    assert_int_equal(bytes, BYTES);
    assert_memory_equal(text, s->body, BYTES);
    free(text);
    snprintf(path, sizeof path, "%s/file.part", folder);
    assert_false(file_exists(path));
}

static struct download the_file(const struct server *s)
{
    return (struct download){.file = "file", .bytes = BYTES, .sha256 = s->sha256, .md5 = s->md5};
}

static void fetch_right(const struct server *s, const char *const *urls, const char *folder)
{
    struct err e = {0};
    struct download d = the_file(s);
    if (fetch_file(&d, urls, folder, &e) != 0)
        fail_msg("%s", e.text);
    assert_whole(s, folder);
}

static void fetch_wrong(const struct server *s, const char *const *urls, const char *folder,
                        const char *word)
{
    struct err e = {0};
    char path[1200];
    struct download d = the_file(s);
    assert_int_equal(fetch_file(&d, urls, folder, &e), -1);
    assert_int_equal(e.code, EXIT_DATA);
    if (!strstr(e.text, word) || !strstr(e.text, "'file'") || !strstr(e.text, "127.0.0.1"))
        fail_msg("no '%s' in: %s", word, e.text);
    snprintf(path, sizeof path, "%s/file", folder);
    assert_false(file_exists(path));
}

static void write_part(const char *folder, const void *data, size_t bytes)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/file.part", folder);
    assert_int_equal(file_make_folders(folder, NULL), 0);
    assert_int_equal(file_write(path, data, bytes, NULL), 0);
}

static void test_fetch_file__gets_a_file_and_then_leaves_it_alone(void **state)
{
    const struct server *s = *state;
    const char *folder = fresh(s, "a/new/folder");
    const char *const urls[] = {address(s, "ok"), NULL};
    fetch_right(s, urls, folder);
    fetch_right(s, urls, folder);
    assert_requests(s, "/ok/file -\n");
}

static void test_fetch_file__takes_d_urls_and_md5_where_nothing_else_is_given(void **state)
{
    const struct server *s = *state;
    const char *folder = fresh(s, "own");
    struct download d = the_file(s);
    const char *const urls[] = {address(s, "ok"), NULL};
    d.sha256 = NULL;
    d.urls = urls;
    assert_int_equal(fetch_file(&d, NULL, folder, NULL), 0);
    assert_whole(s, folder);
    d.md5 = "00000000000000000000000000000000";
    assert_int_equal(fetch_file(&d, NULL, scratch_path(&s->at, "own2"), NULL), -1);
}

static void test_fetch_file__replaces_a_file_that_is_not_the_published_one(void **state)
{
    const struct server *s = *state;
    const char *folder = fresh(s, "stale");
    char path[1200];
    uint8_t *other = calloc(BYTES, 1);
    snprintf(path, sizeof path, "%s/file", folder);
    assert_int_equal(file_make_folders(folder, NULL), 0);
    assert_int_equal(file_write(path, other, BYTES, NULL), 0);
    fetch_right(s, (const char *const[]){address(s, "ok"), NULL}, folder);
    free(other);
}

static void test_fetch_file__goes_on_after_a_cut_connection(void **state)
{
    const struct server *s = *state;
    const char *folder = fresh(s, "cut");
    fetch_right(s, (const char *const[]){address(s, "cut"), address(s, "ok"), NULL}, folder);
    assert_requests(s, "/cut/file -\n/ok/file bytes=200000-\n");
}

static void test_fetch_file__asks_the_only_address_again_while_it_gives_more(void **state)
{
    const struct server *s = *state;
    const char *folder = fresh(s, "again");
    fetch_wrong(s, (const char *const[]){address(s, "cut"), NULL}, folder, "cannot fetch");
    assert_requests(s, "/cut/file -\n/cut/file bytes=200000-\n");
    char path[1200];
    struct stat st;
    snprintf(path, sizeof path, "%s/file.part", folder);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 200000);
    fetch_right(s, (const char *const[]){address(s, "ok"), NULL}, folder); /* the next command */
    assert_requests(s, "/cut/file -\n/cut/file bytes=200000-\n/ok/file bytes=200000-\n");
}

static void test_fetch_file__starts_over_where_ranges_are_unknown(void **state)
{
    const struct server *s = *state;
    const char *folder = fresh(s, "plain");
    write_part(folder, s->body, 1000);
    fetch_right(s, (const char *const[]){address(s, "plain"), NULL}, folder);
    assert_requests(s, "/plain/file bytes=1000-\n/plain/file -\n");
}

static void test_fetch_file__does_not_trust_an_old_part(void **state)
{
    const struct server *s = *state;
    const char *const urls[] = {address(s, "ok"), NULL};
    uint8_t *zeros = calloc(2, BYTES);
    const char *folder = fresh(s, "old");
    write_part(folder, zeros, 1000); /* not this file's beginning */
    fetch_right(s, urls, folder);
    assert_requests(s, "/ok/file bytes=1000-\n/ok/file -\n");
    folder = fresh(s, "full");
    write_part(folder, zeros, BYTES); /* complete, but wrong */
    fetch_right(s, urls, folder);
    assert_requests(s, "/ok/file -\n");
    folder = fresh(s, "more");
    write_part(folder, zeros, BYTES + 1);
    fetch_right(s, urls, folder);
    folder = fresh(s, "done");
    write_part(folder, s->body, BYTES); /* only the renaming was missing */
    fetch_right(s, urls, folder);
    assert_requests(s, "");
    free(zeros);
}

static void test_fetch_file__goes_on_to_the_next_address(void **state)
{
    const struct server *s = *state;
    static const char *const bad[] = {"missing", "flip", "short", "long", "elsewhere"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "next-%s", bad[i]);
        const char *folder = fresh(s, name);
        fetch_right(s, (const char *const[]){address(s, bad[i]), address(s, "ok"), NULL}, folder);
    }
    fetch_right(s, (const char *const[]){address(s, "moved"), NULL}, fresh(s, "next-moved"));
}

static void test_fetch_file__says_what_was_wrong_and_leaves_nothing(void **state)
{
    const struct server *s = *state;
    static const struct {
        const char *how, *word;
    } cases[] = {
        {"missing", "404"}, {"flip", "SHA-256"}, {"short", "270000 bytes, not 300000"},
        {"long", "more than 300000 bytes"}, {"elsewhere", "file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "wrong-%s", cases[i].how);
        const char *folder = fresh(s, name);
        fetch_wrong(s, (const char *const[]){address(s, cases[i].how), NULL}, folder,
                    cases[i].word);
    }
}

/* A port that nobody listens on. */
static int closed_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static void test_fetch_file__is_soon_done_where_nothing_answers(void **state)
{
    const struct server *s = *state;
    char url[128];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/file", closed_port());
    double start = clock_seconds();
    fetch_wrong(s, (const char *const[]){url, url, url, url, NULL}, fresh(s, "nobody"), "connect");
    assert_true(clock_seconds() - start < 5);
    char part[1200];
    snprintf(part, sizeof part, "%s.part", scratch_path(&s->at, "nobody/file"));
    assert_false(file_exists(part));
}

static void test_fetch_file__does_not_share_a_part(void **state)
{
    const struct server *s = *state;
    const char *folder = fresh(s, "shared");
    struct err e = {0};
    struct download d = the_file(s);
    write_part(folder, s->body, 1000);
    int fd = open(scratch_path(&s->at, "shared/file.part"), O_RDWR);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(fetch_file(&d, (const char *const[]){address(s, "ok"), NULL}, folder, &e), -1);
    assert_int_equal(e.code, EXIT_FAILED);
    assert_non_null(strstr(e.text, "already"));
    assert_requests(s, "");
    close(fd);
}

static void test_fetch_file__tells_that_it_cannot_write(void **state)
{
    const struct server *s = *state;
    struct err e = {0};
    struct download d = the_file(s);
    scratch_write(&s->at, "occupied", "", 0);
    assert_int_equal(fetch_file(&d, (const char *const[]){address(s, "ok"), NULL},
                                scratch_path(&s->at, "occupied"), &e), -1);
    assert_int_equal(e.code, EXIT_FAILED);
    assert_non_null(strstr(e.text, "occupied"));
}

static int set_up(void **state)
{
    static struct server s;
    int pipes[2];
    scratch_init(&s.at);
    for (int i = 0; i < BYTES; i++)
        s.body[i] = (uint8_t)((i * 2654435761u) >> 13);
    scratch_write(&s.at, "body", s.body, BYTES);
    hash_of(HASH_SHA256, s.body, BYTES, s.sha256);
    hash_of(HASH_MD5, s.body, BYTES, s.md5);
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
    log_set_level(LOG_QUIET);
    if (pipe(pipes) != 0 || (s.pid = fork()) < 0)
        return -1;
    if (s.pid == 0) {
        dup2(pipes[1], STDOUT_FILENO);
        execlp("python3", "python3", KILN_SOURCE_DIR "/tests/unit/range_server.py",
               scratch_path(&s.at, "body"), scratch_path(&s.at, "log"), (char *)NULL);
        _exit(127);
    }
    close(pipes[1]);
    char port[16] = "";
    ssize_t n = read(pipes[0], port, sizeof port - 1); /* waits until it listens */
    s.port = n > 0 ? atoi(port) : 0;
    *state = &s;
    return s.port > 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    struct server *s = *state;
    kill(s->pid, SIGTERM);
    waitpid(s->pid, NULL, 0);
    scratch_release(&s->at);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fetch_file__gets_a_file_and_then_leaves_it_alone),
        cmocka_unit_test(test_fetch_file__takes_d_urls_and_md5_where_nothing_else_is_given),
        cmocka_unit_test(test_fetch_file__replaces_a_file_that_is_not_the_published_one),
        cmocka_unit_test(test_fetch_file__goes_on_after_a_cut_connection),
        cmocka_unit_test(test_fetch_file__asks_the_only_address_again_while_it_gives_more),
        cmocka_unit_test(test_fetch_file__starts_over_where_ranges_are_unknown),
        cmocka_unit_test(test_fetch_file__does_not_trust_an_old_part),
        cmocka_unit_test(test_fetch_file__goes_on_to_the_next_address),
        cmocka_unit_test(test_fetch_file__says_what_was_wrong_and_leaves_nothing),
        cmocka_unit_test(test_fetch_file__is_soon_done_where_nothing_answers),
        cmocka_unit_test(test_fetch_file__does_not_share_a_part),
        cmocka_unit_test(test_fetch_file__tells_that_it_cannot_write),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
