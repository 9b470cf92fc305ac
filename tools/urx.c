/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * urx - protection information from the command line. Uses nothing but the public API; urx(1) is its manual. A
 * command is a line of `commands` below and a file.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "progress.h"
#include "urx.h"

static const struct command {
	const char *name, *arguments, *purpose;
	int bit;
	int (*run)(const struct options *o);
} commands[] = {
	{ "info", "[OPTION...] TARGET", "format, limits, and the path of each operation", INFO, info },
	{ "generate", "[OPTION...] IMAGE|FILE", "make the tuples of data that is there", GENERATE, generate },
	{ "verify", "[OPTION...] IMAGE|TARGET", "find every block that fails a check", VERIFY, verify },
	{ "read", "[OPTION...] TARGET >DATA", "checked data to standard output", READ, read_data },
	{ "write", "[OPTION...] TARGET <DATA", "standard input to a target, protected", WRITE, write_data },
	{ "append", "--zone N [OPTION...] TARGET <DATA", "the same to where a zone goes on", APPEND, append },
};

int trouble(const char *format, ...)
{
	va_list args;

	progress_hide();
	fputs("urx: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return TROUBLE;
}

static void usage(FILE *to)
{
	fputs("usage: urx COMMAND [OPTION...] ...\n", to);
	for (size_t n = 0; n < COUNT(commands); n++) {
		int width = fprintf(to, "  urx %s %s", commands[n].name, commands[n].arguments);

		fprintf(to, "%*s%s\n", width < 47 ? 47 - width : 1, "", commands[n].purpose);
	}
	fputs("  urx COMMAND --help\n"
	      "  urx --version\n",
	      to);
}

static int finish(int status)
{
	if (fflush(stdout) || ferror(stdout))
		return trouble("standard output: %s", strerror(errno));
	return status;
}

static int run(const struct command *command, int argc, char **argv)
{
	struct options options;
	int status;

	if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		printf("usage: urx %s %s\n", command->name, command->arguments);
		options_help(command->bit);
		return OK;
	}
	status = options_parse(&options, command->bit, argc, argv);
	if (status == OK)
		status = command->run(&options);
	if (status == USAGE)
		fprintf(stderr, "usage: urx %s %s\n", command->name, command->arguments);
	return status == USAGE ? TROUBLE : status;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	uint32_t version = urx_version();

	if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
		usage(stdout);
		return finish(OK);
	}
	if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
		printf("urx %u.%u.%u, liburing-ext %u.%u.%u\n", URX_VERSION_MAJOR, URX_VERSION_MINOR,
		       URX_VERSION_PATCH, version / 1000000, version / 1000 % 1000, version % 1000);
		return finish(OK);
	}
	for (size_t n = 0; n < COUNT(commands); n++)
		if (!strcmp(name, commands[n].name))
			return finish(run(&commands[n], argc - 1, argv + 1));
	if (*name)
		trouble("%s: no such command", name);
	usage(stderr);
	return TROUBLE;
}
