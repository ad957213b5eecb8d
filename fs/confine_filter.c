/* The table as a program. Calls that depend on an argument come first; the others the kernel looks
 * up in a bitmap of its own (Linux 5.11), without running the program. */
#include "fs/confine.h"

#include "core/util.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#endif

#ifdef OUR_ARCH

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the low word of an argument is expected first"
#endif

#define ROW_LONGEST 4 /* instructions a row takes at most */

struct program {
	struct sock_filter *code;
	unsigned short length;
};

static struct sock_filter *add(struct program *p, uint16_t code, uint32_t k)
{
	struct sock_filter *at = &p->code[p->length++];

	*at = (struct sock_filter){.code = code, .k = k};
	return at;
}

static void load(struct program *p, size_t offset)
{
	add(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset);
}

/* The instruction after is jumped over if the accumulator is another value. */
static struct sock_filter *unless_equal(struct program *p, uint32_t value, uint8_t skip)
{
	struct sock_filter *at = add(p, BPF_JMP | BPF_JEQ | BPF_K, value);

	at->jf = skip;
	return at;
}

static void end_with(struct program *p, uint32_t action)
{
	add(p, BPF_RET | BPF_K, action);
}

/* All arguments that count here are ints, flags or numbers below 2^32: the kernel as well looks at
 * no more of them. */
static void add_row(struct program *p, const struct confine_call *row)
{
	if (row->how == CALL_ANY) {
		end_with(p, SECCOMP_RET_ALLOW);
		return;
	}
	if (row->how == CALL_ERROR) {
		end_with(p, SECCOMP_RET_ERRNO | (row->value & SECCOMP_RET_DATA));
		return;
	}
	load(p, offsetof(struct seccomp_data, args[row->argument]));
	add(p, BPF_ALU | BPF_AND | BPF_K, row->mask);
	unless_equal(p, row->value, 1);
	end_with(p, row->how == CALL_NOT ? SECCOMP_RET_TRAP : SECCOMP_RET_ALLOW);
}

/* All rows of one call; returns the first that is another's. */
static size_t add_call(struct program *p, size_t i)
{
	const int number = confine_calls[i].number;
	struct sock_filter *jump = unless_equal(p, (uint32_t)number, 0);
	unsigned begin = p->length;

	while (i < confine_call_count && confine_calls[i].number == number)
		add_row(p, &confine_calls[i++]);
	end_with(p, SECCOMP_RET_TRAP);
	jump->jf = (uint8_t)(p->length - begin);
	return i;
}

static void build(struct program *p, unsigned *calls)
{
	load(p, offsetof(struct seccomp_data, arch));
	unless_equal(p, OUR_ARCH, 1)->jt = 1;
	p->code[p->length - 1].jf = 0;
	end_with(p, SECCOMP_RET_TRAP);
	load(p, offsetof(struct seccomp_data, nr));
	*calls = 0;
	for (size_t i = 0; i < confine_call_count; ++*calls)
		i = add_call(p, i);
	end_with(p, SECCOMP_RET_TRAP);
}

static int install(struct program *p)
{
	struct sock_fprog program = {.len = p->length, .filter = p->code};

	/* Speculation is as before: a filter is no reason to make every call slower. */
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
		    &program) == 0)
		return 0;
	return neg_errno((int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}

int confine_filter(unsigned *calls)
{
	size_t room = 5 + confine_call_count * (ROW_LONGEST + 2);
	AUTO_FREE struct sock_filter *code = calloc(room, sizeof *code);
	struct program program = {.code = code};
	int rc;

	if (!code)
		return -ENOMEM;
	build(&program, calls);
	rc = install(&program);
	if (rc < 0)
		*calls = 0;
	return rc;
}

#else

int confine_filter(unsigned *calls)
{
	*calls = 0;
	return -ENOSYS;
}

#endif
