/* main.c - calm: finds the subcommand and lets it run */
#include "cli.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct command commands[] = {
    {"predict", "run a dataset through a model", cmd_predict},
    {"serve", "serve models over HTTP", cmd_serve},
    {"compare", "measure sync, async, threads and processes, and say which",
        cmd_compare},
    {"doctor", "look at this machine, and check that calm works on it",
        cmd_doctor},
};

/* Pieces of the data are in many messages, and to a terminal they could be
 * commands. */
static void disarm(char *text)
{
    for (; *text; text++)
        if (((unsigned char)*text < ' ' && *text != '\n') || *text == 0x7f)
            *text = '?';
}

int complain(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    if (text)
        disarm(text);
    fprintf(stderr, "calm: %s\n", text ? text : "no memory for a message");
    free(text);
    return EXIT_USAGE;
}

const char **list_split(char *text)
{
    size_t count = 1;
    for (const char *at = text; *at; at++)
        count += *at == ',';
    const char **list = calloc(count + 1, sizeof *list);
    for (size_t i = 0; list && i < count; i++)
        list[i] = strsep(&text, ",");
    return list;
}

bool number_read(
    const char *option, const char *text, uint64_t least, uint64_t *ret_number)
{
    int64_t number;
    if (calm_int64_parse(text, strlen(text), &number) < 0 ||
        number < (int64_t)least) {
        complain("%s: '%s' is no whole number from %llu on", option, text,
            (unsigned long long)least);
        return false;
    }
    *ret_number = (uint64_t)number;
    return true;
}

static void overview(FILE *out)
{
    fputs("Usage: calm COMMAND [OPTIONS]\n\nCommands:\n", out);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].what);
    fputs("\n'calm COMMAND --help' tells the options of each.\n", out);
}

/* What is closed would be the number of the next file that is opened: errors
 * would be printed into the output. A descriptor that cannot be used in its
 * direction takes the place, so that using it is still an error. */
static void standard_fill(void)
{
    static const int flags[] = {O_WRONLY, O_RDONLY, O_WRONLY};
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", flags[fd]) != fd)
            _exit(EXIT_LOCAL);
}

int main(int argc, char **argv)
{
    standard_fill();
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 ||
        strcmp(name, "help") == 0) {
        overview(stdout);
        return EXIT_DONE;
    }
    if (strcmp(name, "--version") == 0) {
        printf("calm %s\n", calm_version());
        return EXIT_DONE;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].main(argc - 1, argv + 1);
    if (*name)
        complain("unknown command '%s'", name);
    overview(stderr);
    return EXIT_USAGE;
}
