#ifdef MAPPINGFS_TEST_POINTS
#include "core/fault.h"

#include "core/sys.h"
#include "core/util.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#define ERRNO_LAST 133

static struct fault_plan own_plan, *plan = &own_plan;

#define FAULT_NAME(name, NAME, parameters, arguments) #name,
static const char *const names[FAULTS] = {SYS_CALLS(FAULT_NAME) "memory"};

const char *fault_name(enum fault_call call)
{
	return names[call];
}

int fault_due(enum fault_call call)
{
	struct fault_row *row = &plan->rows[call];
	int error = row->error, times = row->times;

	row->calls++;
	if (!error)
		return 0;
	while (times > 0 && !atomic_compare_exchange_weak(&row->times, &times, times - 1))
		;
	if (!times)
		return 0;
	row->hits++;
	return -error;
}

#define FAULTY(name, NAME, parameters, arguments)                                                  \
	static int faulty_##name parameters                                                        \
	{                                                                                          \
		int rc = fault_due(FAULT_##NAME);                                                  \
		return rc < 0 ? rc : sys_real.name arguments;                                      \
	}
SYS_CALLS(FAULTY)

#define FAULTY_ENTRY(name, NAME, parameters, arguments) .name = faulty_##name,
const struct sys_calls sys_faulty = {SYS_CALLS(FAULTY_ENTRY)};

/* --- the plan --- */

static int call_of(const char *name, size_t length)
{
	for (int i = 0; i < FAULTS; i++)
		if (strlen(names[i]) == length && memcmp(names[i], name, length) == 0)
			return i;
	return -EINVAL;
}

static int error_of(const char *name, size_t length)
{
	for (int i = 1; i <= ERRNO_LAST; i++) {
		const char *text = strerrorname_np(i);

		if (text && strlen(text) == length && memcmp(text, name, length) == 0)
			return i;
	}
	return -EINVAL;
}

/* NAME=ERROR[:TIMES] */
static int parse_one(struct fault_plan *to, const char *text, size_t length)
{
	const char *equals = memchr(text, '=', length);
	const char *end = text + length;
	const char *colon = equals ? memchr(equals, ':', (size_t)(end - equals)) : NULL;
	int call, error;

	if (!equals)
		return -EINVAL;
	call = call_of(text, (size_t)(equals - text));
	error = error_of(equals + 1, (size_t)((colon ? colon : end) - equals - 1));
	if (call < 0 || error < 0)
		return -EINVAL;
	to->rows[call].times = colon ? atoi(colon + 1) : -1;
	to->rows[call].error = error;
	return 0;
}

int fault_parse(struct fault_plan *to, const char *text)
{
	while (*text) {
		size_t length = strcspn(text, ",");
		int rc = parse_one(to, text, length);

		if (rc < 0)
			return rc;
		text += length + (text[length] == ',');
	}
	return 0;
}

/* Before main(), and so before anything confines us. A plan that was meant and cannot be had must
 * not look like a fault survived. */
__attribute__((constructor)) static void begin(void)
{
	const char *text = getenv("MAPPINGFS_FAULTS"), *path = getenv("MAPPINGFS_FAULTS_FILE");
	AUTO_CLOSE int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

	if (fd >= 0)
		plan = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if ((path && (fd < 0 || plan == MAP_FAILED)) || (text && fault_parse(plan, text) < 0)) {
		fprintf(stderr, "mappingfs: no such plan of faults\n");
		abort();
	}
}

#endif
