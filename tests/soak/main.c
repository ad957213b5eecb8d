/* mappingsoak: see soak.h. scripts/soak runs it. Exit status 0: nothing was wrong; 1: violations;
 * 2: wrong arguments; 3: it could not run. */
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "core/util.h"
#include "tests/soak/loads.h"
#include "tests/soak/report.h"
#include "tests/soak/round.h"

struct soak *soak;
const char *soak_programs, *soak_python;

struct options {
	double seconds, round;
	unsigned loads, pause_ms;
	uint64_t seed;
	bool kill_supervisor, keep;
	const char *directory;
};

static volatile sig_atomic_t interrupted;

static void say(const char *prefix, const char *format, va_list arguments)
{
	char line[2048];
	int length = snprintf(line, sizeof line, "%s", prefix);

	vsnprintf(line + length, sizeof line - (size_t)length, format, arguments);
	fprintf(stderr, "soak: %s\n", line);
}

void soak_say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say("", format, arguments);
	va_end(arguments);
}

void soak_violation(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say("VIOLATION: ", format, arguments);
	va_end(arguments);
	__atomic_add_fetch(&soak->violations, 1, __ATOMIC_SEQ_CST);
}

/* --- what is made --- */

static const char *const mount_options[SOAK_MOUNTS] = {
    "size=64m,mode=auto",
    "size=64m,mode=cached",
    "mode=auto,store=",
};

static int place(const char *directory, unsigned m, struct mounted *mounted)
{
	struct common *common = &soak->common[m];

	*mounted = (struct mounted){.common = common, .number = m};
	snprintf(common->path, sizeof common->path, "%s/mount%u", directory, m);
	snprintf(common->files, sizeof common->files, "%s/files%u", directory, m);
	if (mkdir(common->path, 0755) < 0 || mkdir(common->files, 0700) < 0 ||
	    chmod(common->files, 01777) < 0)
		return -errno;
	if (!strstr(mount_options[m], "store=")) {
		snprintf(mounted->options, sizeof mounted->options, "%s", mount_options[m]);
		return 0;
	}
	common->store = true;
	snprintf(mounted->store, sizeof mounted->store, "%s/store%u", directory, m);
	snprintf(mounted->options, sizeof mounted->options, "%s%s/store%u", mount_options[m],
		 directory, m);
	return neg_errno(mkdir(mounted->store, 0755));
}

static void make_loads(void)
{
	static const uid_t uids[] = {0, 1000, 1001, 65534};

	for (unsigned m = 0; m < soak->mounts; m++)
		for (unsigned i = 0; i < soak->loads; i++)
			soak->load[m][i] = (struct load){
			    .mount = m, .number = i, .uid = uids[(i + m) % ARRAY_SIZE(uids)]};
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

/* --- the run --- */

static void on_interrupt(int signal_number)
{
	(void)signal_number;
	interrupted = 1;
}

static unsigned run_rounds(const struct options *options, struct chaos *chaos, uint64_t begin)
{
	double spent = 0;
	unsigned rounds = 0;
	struct round round = {.pause_ms = options->pause_ms, .watchdog = watchdog_start()};

	while (spent < options->seconds && !soak->violations && !interrupted) {
		uint64_t before = 0;

		round.seconds = options->round < options->seconds - spent
				    ? options->round
				    : options->seconds - spent;
		round.second_half = spent > options->seconds / 2;
		round.remount = rounds % 2;
		chaos->calm = rounds % 3 == 2;
		round_run(&round, chaos);
		for (unsigned op = 0; op < SOAK_OPS; op++)
			for (unsigned m = 0; m < soak->mounts; m++)
				for (unsigned i = 0; i < soak->loads; i++)
					before += soak->load[m][i].figures[op].done;
		spent = (double)(clock_ns(CLOCK_MONOTONIC) - begin) / 1e9;
		soak_say("%.0f s, round %u%s: %llu operations so far", spent, ++rounds,
			 chaos->calm ? " (the worker lives)" : "", (unsigned long long)before);
	}
	watchdog_stop(round.watchdog);
	return rounds;
}

static int run(const struct options *options, struct mounted *mounts)
{
	struct chaos chaos = {.mounts = mounts, .kill_supervisor = options->kill_supervisor};
	uint64_t begin = clock_ns(CLOCK_MONOTONIC);
	unsigned rounds;

	for (unsigned m = 0; m < soak->mounts; m++)
		if (mount_start(&mounts[m]) < 0 || mount_furnish(&mounts[m]) < 0)
			return -1;
	chaos_prepare(&chaos);
	random_seed(options->seed, 0, 0);
	round_warm_up(mounts);
	rounds = run_rounds(options, &chaos, begin);
	round_last(mounts);
	for (unsigned m = 0; m < soak->mounts && !(options->keep && soak->violations); m++)
		mount_end(&mounts[m]);
	report(mounts, rounds, (double)(clock_ns(CLOCK_MONOTONIC) - begin) / 1e9);
	return 0;
}

static int run_in(const struct options *options, const char *directory)
{
	struct mounted mounts[SOAK_MOUNTS];
	int fds = count_fds(getpid()), rc = chmod(directory, 0755);

	faults_prepare(directory);
	for (unsigned m = 0; m < soak->mounts && rc == 0; m++)
		rc = place(directory, m, &mounts[m]);
	if (rc == 0)
		rc = run(options, mounts);
	if (rc == 0 && count_fds(getpid()) != fds)
		soak_violation("%d descriptors of our own, %d before", count_fds(getpid()), fds);
	if (options->keep && (rc || soak->violations)) {
		soak_say("%s is kept", directory);
		return rc;
	}
	for (unsigned m = 0; m < soak->mounts; m++)
		umount2(soak->common[m].path, MNT_DETACH);
	if (nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) < 0)
		soak_violation("%s stays: %s", directory, strerror(errno));
	return rc;
}

/* --- options --- */

static void usage(FILE *out)
{
	fprintf(out, "usage: mappingsoak [OPTIONS]\n"
		     "  --seconds=S        how long (default 60)\n"
		     "  --round=S          length of a round, after which all is counted (20)\n"
		     "  --loads=N          processes a mount (6, at most 8)\n"
		     "  --pause=MS         between two deeds of the chaos, on the average (150)\n"
		     "  --seed=N           default: random\n"
		     "  --kill-supervisor  kill the supervisor and its standby, too\n"
		     "  --python=DIR       where mappingfs.py is; without it Python does nothing\n"
		     "  --dir=DIR          where to mount (default /tmp)\n"
		     "  --keep             leave the mounts as they are after a violation\n");
}

static int parse(int argc, char **argv, struct options *options)
{
	static const struct option longs[] = {
	    {"seconds", required_argument, NULL, 's'},
	    {"round", required_argument, NULL, 'r'},
	    {"loads", required_argument, NULL, 'l'},
	    {"pause", required_argument, NULL, 'p'},
	    {"seed", required_argument, NULL, 'S'},
	    {"kill-supervisor", no_argument, NULL, 'k'},
	    {"python", required_argument, NULL, 'P'},
	    {"dir", required_argument, NULL, 'd'},
	    {"keep", no_argument, NULL, 'K'},
	    {"help", no_argument, NULL, 'h'},
	    {0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "h", longs, NULL)) >= 0) {
		switch (option) {
		case 's':
			options->seconds = strtod(optarg, NULL);
			break;
		case 'r':
			options->round = strtod(optarg, NULL);
			break;
		case 'l':
			options->loads = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case 'p':
			options->pause_ms = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case 'S':
			options->seed = strtoull(optarg, NULL, 0);
			break;
		case 'k':
			options->kill_supervisor = true;
			break;
		case 'P':
			soak_python = realpath(optarg, NULL);
			break;
		case 'd':
			options->directory = optarg;
			break;
		case 'K':
			options->keep = true;
			break;
		case 'h':
			return 1;
		default:
			return -EINVAL;
		}
	}
	return argc == optind && options->seconds > 0 && options->round > 0 && options->loads &&
		       options->loads <= SOAK_LOADS && options->pause_ms
		   ? 0
		   : -EINVAL;
}

static const char *directory_of_ours(void)
{
	static char path[SOAK_PATH];
	ssize_t got = readlink("/proc/self/exe", path, sizeof path - 1);

	path[got < 0 ? 0 : got] = '\0';
	if (strrchr(path, '/'))
		*strrchr(path, '/') = '\0';
	return path;
}

int main(int argc, char **argv)
{
	struct options options = {
	    .seconds = 60, .round = 20, .loads = 6, .pause_ms = 150, .directory = "/tmp"};
	char directory[SOAK_PATH / 2];
	int rc;

	if (getrandom(&options.seed, 4, 0) != 4)
		return 3;
	rc = parse(argc, argv, &options);
	if (rc) {
		usage(rc > 0 ? stdout : stderr);
		return rc > 0 ? 0 : 2;
	}
	soak_programs = directory_of_ours();
	soak = mmap(NULL, sizeof *soak, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	snprintf(directory, sizeof directory, "%s/mappingsoak.XXXXXX", options.directory);
	if (soak == MAP_FAILED || !mkdtemp(directory))
		return 3;
	soak->seed = options.seed;
	soak->mounts = SOAK_MOUNTS;
	soak->loads = options.loads;
	make_loads();
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	signal(SIGINT, on_interrupt);
	signal(SIGTERM, on_interrupt);
	soak_say("seed %llu, %u mounts with %u loads each, below %s",
		 (unsigned long long)soak->seed, soak->mounts, soak->loads, directory);
	rc = run_in(&options, directory);
	if (rc < 0)
		return 3;
	return soak->violations ? 1 : 0;
}
