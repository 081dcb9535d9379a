/* cmd_serve.c - kiln serve: the runs of a folder as pages that go on. */
#define _POSIX_C_SOURCE 200809L /* sigwait */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/arena.h"
#include "cli/cli.h"
#include "cli/runs.h"
#include "serve/http.h"

struct args {
    int port;
};

static const struct option_def options[] = {
    {"port", OPTION_INT, offsetof(struct args, port), "8765", 0, 65535, NULL, NULL, "server",
     "port on 127.0.0.1; 0 takes a free one", NULL},
    {0},
};

static int tell(const struct invocation *inv, const struct site *site, int port, struct err *e)
{
    char address[64];
    snprintf(address, sizeof address, "http://127.0.0.1:%d/", port);
    if (inv->common.json) {
        json_t *o = json_object();
        json_object_set_new(o, "url", json_string(address));
        json_object_set_new(o, "folder", json_string(site->folder));
        int rc = cli_print_json(o, e);
        fflush(stdout);
        return rc;
    }
    printf("%s shows the runs in %s; Ctrl-C ends this\n", address, site->folder);
    fflush(stdout);
    return 0;
}

static int serve(const struct invocation *inv, struct site *site, struct err *e)
{
    const struct args *args = inv->args;
    int port = args->port, number;
    sigset_t ends;
    /* Blocked before the other thread starts, so that it is this one that is told. */
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    signal(SIGPIPE, SIG_IGN);
    struct http *http = http_start(site, &port, e);
    if (!http)
        return -1;
    int rc = tell(inv, site, port, e);
    if (rc >= 0)
        sigwait(&ends, &number);
    http_stop(http);
    return rc < 0 ? rc : EXIT_DONE;
}

static int run(struct invocation *inv, struct err *e)
{
    const char *folder = inv->operand_count ? inv->operands[0] : "runs";
    struct site *site = xcalloc(1, sizeof *site);
    struct setting_list settings;
    int rc = site_open(site, folder, setting_names(&settings), e);
    if (!rc)
        rc = serve(inv, site, e);
    site_close(site);
    free(site);
    return rc;
}

static const char *const examples[] = {
    "kiln serve", "the runs in ./runs, at http://127.0.0.1:8765/",
    "kiln serve sweeps/lr-batch --port 9000", "the trials of a sweep, elsewhere",
    "ssh -L 8765:localhost:8765 HOST", "beside 'kiln serve' on HOST: its page on this machine",
    NULL,
};

const struct command command_serve = {
    .name = "serve",
    .summary = "Show the runs of a folder as live pages in a browser",
    .usage = "[FOLDER] [options]",
    .description =
        "Lists the runs of a folder ('runs' if none is given) and shows any of them as the page\n"
        "of 'kiln report', going on while they train. It listens on the loopback address only,\n"
        "reads only, and answers nobody but pages of its own. Runs do not notice it; ending it\n"
        "ends nothing else.",
    .examples = examples,
    .common = COMMON_JSON | COMMON_QUIET,
    .options = options,
    .args_size = sizeof(struct args),
    .min_operands = 0,
    .max_operands = 1,
    .run = run,
};
