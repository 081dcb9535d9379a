/* main.c - the table of subcommands, and dispatch. */
#include <string.h>

#include "base/log.h"
#include "cli/cli.h"
#include "cli/signals.h"
#include "cli/waiting.h"

extern const struct command command_train, command_resume, command_sweep, command_find_lr,
    command_study,
    command_eval, command_data, command_net, command_schedule, command_doctor, command_verify,
    command_runs, command_probe, command_export, command_bench, command_report, command_serve,
    command_watch, command_help, command_completion;

static const struct command *const commands[] = {
    &command_train,
    &command_resume,
    &command_sweep,
    &command_find_lr,
    &command_study,
    &command_eval,
    &command_data,
    &command_net,
    &command_schedule,
    &command_doctor,
    &command_verify,
    &command_runs,
    &command_probe,
    &command_export,
    &command_bench,
    &command_report,
    &command_serve,
    &command_watch,
    &command_help,
    &command_completion,
    NULL,
};

/* What did not reach stdout is lost: a full disk behind a redirection is a failure. */
static int close_stdout(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    if (status == EXIT_DONE)
        log_error("cannot write to standard output");
    return status == EXIT_DONE ? EXIT_FAILED : status;
}

static int run_command(int argc, char **argv)
{
    struct invocation inv;
    struct err e = {.code = EXIT_FAILED};
    bool help;
    int status = invocation_parse(&inv, commands, argc, argv, &help, &e);
    if (status == 0 && help) {
        help_command(inv.command, stdout);
    } else if (status == 0) {
        if (inv.command->common & COMMON_CONFIG) {
            signals_ignore_pipe();
            waiting_shorten(argv);
        }
        if (inv.common.quiet)
            log_set_level(LOG_QUIET);
        status = inv.command->run(&inv, &e);
    }
    if (status < 0) {
        log_error("%s", e.text);
        status = (int)e.code;
    }
    invocation_release(&inv);
    return status;
}

int main(int argc, char **argv)
{
    const char *first = argc > 1 ? argv[1] : "";
    if (argc < 2) {
        help_program(commands, stderr);
        return EXIT_USAGE;
    }
    if (strcmp(first, "--version") == 0 || strcmp(first, "-V") == 0) {
        print_version(stdout);
        return close_stdout(EXIT_DONE);
    }
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0) {
        help_program(commands, stdout);
        return close_stdout(EXIT_DONE);
    }
    return close_stdout(run_command(argc, argv));
}
