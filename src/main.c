/* main.c - kiln's entry: hands the command line to the table of subcommands. */
#include <stdio.h>

int main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    fprintf(stderr, "kiln: no subcommand yet\n");
    return 2;
}
