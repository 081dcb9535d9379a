/* signals.c - see signals.h. The flag is what a handler can share with the program. */
#define _POSIX_C_SOURCE 200809L
#include "cli/signals.h"

#include <string.h>
#include <unistd.h>

#include "base/err.h"

static volatile sig_atomic_t stop;

volatile sig_atomic_t *signals_flag(void)
{
    return &stop;
}

static void ask(int signal_number)
{
    if (stop && signal_number != SIGUSR1)
        _exit((int)exit_code_of_signal(signal_number));
    if (!stop)
        stop = signal_number;
}

void signals_install(void)
{
    static const int asking[] = {SIGINT, SIGTERM, SIGUSR1};
    struct sigaction action;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    action.sa_handler = ask;
    for (size_t i = 0; i < sizeof asking / sizeof asking[0]; i++)
        sigaction(asking[i], &action, NULL);
    signals_ignore_pipe();
}

void signals_ignore_pipe(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}
