/* mapbench: runs one measure on one directory and prints one line of JSON. scripts/bench calls it
 * for every file system in turn. */
#include "tests/bench/bench.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "core/util.h"

struct measure {
	const char *name;
	int (*run)(const struct bench_options *options, struct bench_result *result);
	const char *what;
};

static const struct measure measures[] = {
    {"view", bench_view, "memset and read over a populated view"},
    {"touch", bench_touch, "first touch of a new object, then again through a second view"},
    {"blocks", bench_blocks, "pread and pwrite of 1 MiB, all of it allocated before"},
    {"open_close", bench_open_close, "open and close of an existing object"},
    {"cycle", bench_cycle, "open, mmap, touch one page, munmap, close"},
    {"create_unlink", bench_create_unlink, "create, close, unlink"},
    {"stat", bench_stat, "stat by path"},
    {"wake", bench_wake, "from telling a process that waits to its being awake"},
    {"ping_pong", bench_ping_pong, "telling another process and being told by it"},
    {"crowd", bench_crowd, "from letting 1,000 waiters go to the last one's being awake"},
    {"semaphore", bench_semaphore, "take and release, nobody else there"},
    {"many", bench_many, "create, then remove, 100,000 objects in a directory"},
    {"populate", bench_populate, "make --count names for lookup, and leave them there"},
    {"lookup", bench_lookup, "stat of names that populate made and the kernel does not know"},
    {"evict", bench_evict, "make the kernel forget all names of the mount"},
    {"stall", bench_stall, "longest turn of a caller while the worker is killed"},
    {"warm", bench_warm, "touch memory once and give it back"},
};

void bench_add(struct bench_result *result, const char *name, double value)
{
	if (result->count == BENCH_VALUES)
		abort();
	result->values[result->count].name = name;
	result->values[result->count].value = value;
	result->count++;
}

static void usage(FILE *out)
{
	fprintf(out,
		"usage: mapbench [OPTIONS] MEASURE DIR\n"
		"  --seconds=S  length of a timed loop (default 0.3)\n"
		"  --size=BYTES size of the object instead of the measure's own\n"
		"  --kills=N    stall: kill the mappingfs worker N times (default 0)\n"
		"  --by=WHAT    wake, ping_pong, crowd, semaphore: event (default), pipe, futex\n"
		"  --count=N    number of waiters or names instead of the measure's own\n"
		"  --directories=N  populate, lookup: spread the names over so many (default 1)\n"
		"  --cpu=N      run on this CPU only\n"
		"  --peer-cpu=N wake, ping_pong: the other process on this one\n"
		"measures:\n");
	for (size_t i = 0; i < ARRAY_SIZE(measures); i++)
		fprintf(out, "  %-14s %s\n", measures[i].name, measures[i].what);
}

static int parse(int argc, char **argv, struct bench_options *options)
{
	static const struct option longs[] = {
	    {"seconds", required_argument, NULL, 's'},
	    {"size", required_argument, NULL, 'b'},
	    {"kills", required_argument, NULL, 'k'},
	    {"cpu", required_argument, NULL, 'c'},
	    {"peer-cpu", required_argument, NULL, 'p'},
	    {"by", required_argument, NULL, 'y'},
	    {"count", required_argument, NULL, 'n'},
	    {"directories", required_argument, NULL, 'd'},
	    {"help", no_argument, NULL, 'h'},
	    {0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "h", longs, NULL)) >= 0) {
		if (option == 's')
			options->seconds = strtod(optarg, NULL);
		else if (option == 'b')
			options->size = strtoull(optarg, NULL, 0);
		else if (option == 'k')
			options->kills = (unsigned)strtoul(optarg, NULL, 0);
		else if (option == 'y')
			options->by = optarg;
		else if (option == 'n')
			options->count = strtoull(optarg, NULL, 0);
		else if (option == 'd')
			options->directories = strtoull(optarg, NULL, 0);
		else if (option == 'p')
			options->peer_cpu = atoi(optarg);
		else if (option == 'h' || option == '?')
			return option == 'h' ? 1 : -EINVAL;
		else if (bench_pin(atoi(optarg)) < 0)
			return -EINVAL;
	}
	return argc - optind == 2 && options->seconds > 0 && options->directories ? 0 : -EINVAL;
}

static void print(const char *measure, const struct bench_result *result)
{
	printf("{\"measure\": \"%s\"", measure);
	for (size_t i = 0; i < result->count; i++)
		printf(", \"%s\": %.3f", result->values[i].name, result->values[i].value);
	printf("}\n");
}

static const struct measure *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(measures); i++)
		if (!strcmp(measures[i].name, name))
			return &measures[i];
	return NULL;
}

int main(int argc, char **argv)
{
	struct bench_options options = {.seconds = 0.3, .directories = 1, .peer_cpu = -1};
	struct bench_result result = {0};
	const struct measure *measure;
	int rc = parse(argc, argv, &options);

	measure = rc ? NULL : find(argv[optind]);
	if (!measure) {
		usage(rc > 0 ? stdout : stderr);
		return rc > 0 ? 0 : 2;
	}
	options.dir = argv[optind + 1];
	rc = measure->run(&options, &result);
	if (rc < 0) {
		fprintf(stderr, "mapbench: %s in %s: %s\n", measure->name, options.dir,
			strerror(-rc));
		return 1;
	}
	print(measure->name, &result);
	return 0;
}
