/* The command line: what is understood, what is refused, and how the refusal reads. */
#include "core/util.h"
#include "fs/handover.h"
#include "fs/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mount.h>

#include <cmocka.h>

#define GIB (1ULL << 30)

static char why[256];

static int parse_words(struct options *o, const char *const *words)
{
	char *argv[16] = {"mappingfs"};
	int argc = 1;

	while (words[argc - 1]) {
		argv[argc] = (char *)words[argc - 1];
		argc++;
	}
	why[0] = '\0';
	return options_parse(o, argc, argv, why, sizeof why);
}

#define PARSE(o, ...) parse_words(o, (const char *const[]){__VA_ARGS__, NULL})

static void complete_as(struct options *o, uid_t uid)
{
	assert_int_equal(options_complete(o, uid, uid, 16 * GIB, why, sizeof why), 0);
}

static void test_positionals(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(PARSE(&o, "/mnt"), 0);
	assert_string_equal(o.mountpoint, "/mnt");
	assert_string_equal(o.source, "mappingfs");
	options_finish(&o);
	/* as mount(8) calls us: options last */
	assert_int_equal(PARSE(&o, "src", "/mnt", "-o", "rw,size=1m"), 0);
	assert_string_equal(o.mountpoint, "/mnt");
	assert_string_equal(o.source, "src");
	assert_int_equal(o.size, 1 << 20);
	options_finish(&o);
	assert_int_equal(PARSE(&o, "-f", "--", "-src", "-mnt"), 0);
	assert_string_equal(o.source, "-src");
	assert_string_equal(o.mountpoint, "-mnt");
	assert_true(o.foreground);
	options_finish(&o);
	assert_int_equal(PARSE(&o, "a", "b", "c"), -EINVAL);
	assert_non_null(strstr(why, "'c'"));
	options_finish(&o);
	assert_int_equal(PARSE(&o, "-d"), -EINVAL);
	assert_non_null(strstr(why, "mount point"));
	options_finish(&o);
}

static void test_posixly_correct_changes_nothing(void **state)
{
	struct options o;

	(void)state;
	setenv("POSIXLY_CORRECT", "1", 1);
	assert_int_equal(PARSE(&o, "src", "/mnt", "-o", "size=1k"), 0);
	assert_int_equal(o.size, 1024);
	options_finish(&o);
	unsetenv("POSIXLY_CORRECT");
}

static void test_switches(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(PARSE(&o, "--help"), 0);
	assert_true(o.help);
	options_finish(&o);
	assert_int_equal(PARSE(&o, "-V"), 0);
	assert_true(o.version);
	options_finish(&o);
	assert_int_equal(PARSE(&o, "-x", "/mnt"), -EINVAL);
	assert_non_null(strstr(why, "'-x'"));
	options_finish(&o);
	assert_int_equal(PARSE(&o, "--nonsense", "/mnt"), -EINVAL);
	assert_non_null(strstr(why, "'--nonsense'"));
	options_finish(&o);
	assert_int_equal(PARSE(&o, "/mnt", "-o"), -EINVAL);
	assert_non_null(strstr(why, "needs an argument"));
	options_finish(&o);
}

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
	    {"size=4096", 4096},          {"size=1k", 1 << 10},   {"size=3M", 3 << 20},
	    {"size=2g", 2 * GIB},         {"size=1T", GIB << 10}, {"size=50%", 8 * GIB},
	    {"size=1m,size=2m", 2 << 20}, {"size=25%,size=7", 7},
	};
	static const char *const bad[] = {
	    "size=",
	    "size=0",
	    "size=-1",
	    "size=+1",
	    "size=abc",
	    "size=1x",
	    "size=1kk",
	    "size=1 k",
	    "size= 1",
	    "size=0%",
	    "size=1%k",
	    "size=9223372036854775808",
	    "size=9007199254740992k",
	    "size=99999999999999999999",
	    "size=18446744073709551615",
	};
	struct options o;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(PARSE(&o, "/mnt", "-o", good[i].text), 0);
		complete_as(&o, 0);
		/* percents are of a memory that need not be a multiple of 100 */
		assert_in_range(o.size, good[i].bytes - good[i].bytes / 1000, good[i].bytes);
		options_finish(&o);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(PARSE(&o, "/mnt", "-o", bad[i]), -EINVAL);
		assert_non_null(strstr(why, "size"));
		options_finish(&o);
	}
}

static void test_defaults_of_root(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(PARSE(&o, "/mnt"), 0);
	complete_as(&o, 0);
	assert_in_range(o.size, 8 * GIB - 4096, 8 * GIB);
	assert_int_equal(o.root_mode, 01777);
	assert_int_equal(o.uid, 0);
	assert_int_equal(o.gid, 0);
	assert_int_equal(o.allow_other, 1);
	assert_int_equal(o.poll_usec, 50);
	assert_int_equal(o.data_mode, DATA_MODE_AUTO);
	assert_int_equal(o.lifetime, DEFAULT_LIFETIME_PERMANENT);
	assert_int_equal(o.jobs, JOBS_MODE_AUTO);
	assert_int_equal(o.confine, CONFINE_AUTO);
	assert_int_equal(o.mount_flags, MS_NOSUID | MS_NODEV);
	assert_null(o.store);
	assert_false(o.foreground || o.debug);
	options_finish(&o);
}

static void test_defaults_of_users(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(PARSE(&o, "/mnt"), 0);
	complete_as(&o, 1000);
	assert_int_equal(o.root_mode, 0700);
	assert_int_equal(o.uid, 1000);
	assert_int_equal(o.allow_other, 0);
	options_finish(&o);
	assert_int_equal(PARSE(&o, "/mnt", "-o", "uid=0"), 0);
	assert_int_equal(options_complete(&o, 1000, 1000, GIB, why, sizeof why), -EINVAL);
	options_finish(&o);
	assert_int_equal(PARSE(&o, "/mnt", "-o", "gid=0"), 0);
	assert_int_equal(options_complete(&o, 1000, 1000, GIB, why, sizeof why), -EINVAL);
	options_finish(&o);
}

static void test_a_store_has_no_limit_unless_told(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(PARSE(&o, "/mnt", "-o", "store=/a\\,b\\\\c"), 0);
	assert_string_equal(o.store, "/a,b\\c");
	complete_as(&o, 0);
	assert_int_equal(o.size, 0);
	options_finish(&o);
	assert_int_equal(PARSE(&o, "/mnt", "-o", "store=/a,size=1g"), 0);
	complete_as(&o, 0);
	assert_int_equal(o.size, GIB);
	options_finish(&o);
}

static void test_modes(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(PARSE(&o, "/mnt", "-o", "mode=cached,mode=0750"), 0);
	assert_int_equal(o.data_mode, DATA_MODE_CACHED);
	assert_int_equal(o.root_mode, 0750);
	options_finish(&o);
	assert_int_equal(PARSE(&o, "/mnt", "-o", "root_mode=3775,mode=passthrough"), 0);
	assert_int_equal(o.data_mode, DATA_MODE_PASSTHROUGH);
	assert_int_equal(o.root_mode, 03775);
	options_finish(&o);
	assert_int_equal(PARSE(&o, "/mnt", "-o", "mode=0789"), -EINVAL);
	options_finish(&o);
	assert_int_equal(PARSE(&o, "/mnt", "-o", "mode=17777"), -EINVAL);
	options_finish(&o);
	assert_int_equal(PARSE(&o, "/mnt", "-o", "mode=fast"), -EINVAL);
	assert_non_null(strstr(why, "'fast'"));
	options_finish(&o);
}

static void test_other_settings(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(PARSE(&o, "/mnt", "-o",
			       "lifetime=temporary,poll=0,uid=root,jobs=pidfd,confine=strict", "-o",
			       "noallow_other,gid=12"),
			 0);
	assert_int_equal(o.lifetime, DEFAULT_LIFETIME_TEMPORARY);
	assert_int_equal(o.jobs, JOBS_MODE_PIDFD);
	assert_int_equal(o.confine, CONFINE_STRICT);
	assert_int_equal(o.poll_usec, 0);
	assert_int_equal(o.uid, 0);
	assert_int_equal(o.gid, 12);
	complete_as(&o, 0);
	assert_int_equal(o.allow_other, 0);
	options_finish(&o);
}

static void test_refusals_name_the_word(void **state)
{
	static const char *const bad[][2] = {
	    {"frobnicate", "unknown option 'frobnicate'"},
	    {"rw,frobnicate=1", "unknown option 'frobnicate'"},
	    {"size", "option 'size' needs a value"},
	    {"allow_other=1", "option 'allow_other' takes no value"},
	    {"jobs=many", "'many' is not a value for option 'jobs'"},
	    {"confine=yes", "'yes' is not a value for option 'confine'"},
	    {"lifetime=long", "'long' is not a value for option 'lifetime'"},
	    {"poll=-1", "'-1' is not a value for option 'poll'"},
	    {"uid=no such user", "'no such user' is not a value for option 'uid'"},
	    {"gid=4294967295", "'4294967295' is not a value for option 'gid'"},
	    {"store=", "'' is not a value for option 'store'"},
	    {"remount,rw", "cannot be remounted"},
	    {"ro=1", "unknown option 'ro'"},
	};
	struct options o;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(PARSE(&o, "/mnt", "-o", bad[i][0]), -EINVAL);
		if (!strstr(why, bad[i][1]))
			fail_msg("\"%s\" was refused with \"%s\"", bad[i][0], why);
		options_finish(&o);
	}
}

static void test_generic_words(void **state)
{
	char names[128];
	struct options o;

	(void)state;
	assert_int_equal(PARSE(&o, "/mnt", "-o",
			       "defaults,,nofail,_netdev,x-systemd.automount,X-mount.mkdir,user,"
			       "user=jo,users,noauto,auto,comment=some words,"),
			 0);
	assert_int_equal(o.mount_flags, MS_NOSUID | MS_NODEV);
	options_finish(&o);
	assert_int_equal(PARSE(&o, "/mnt", "-o", "ro,dev,suid,noexec,noatime"), 0);
	assert_int_equal(o.mount_flags, MS_RDONLY | MS_NOEXEC | MS_NOATIME);
	options_user_flags(&o, names, sizeof names);
	assert_string_equal(names, "ro,noexec,noatime,");
	options_finish(&o);
	assert_int_equal(PARSE(&o, "/mnt", "-o", "ro,noexec", "-o", "rw,exec"), 0);
	assert_int_equal(o.mount_flags, MS_NOSUID | MS_NODEV);
	options_finish(&o);
}

static void test_help_names_every_option(void **state)
{
	AUTO_FREE char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	assert_non_null(out);
	options_help(out);
	fclose(out);
	assert_non_null(strstr(text, "size=BYTES"));
	assert_non_null(strstr(text, "store=DIR"));
	assert_non_null(strstr(text, "--foreground"));
	assert_non_null(strstr(text, " noexec"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_positionals),
	    cmocka_unit_test(test_posixly_correct_changes_nothing),
	    cmocka_unit_test(test_switches),
	    cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_defaults_of_root),
	    cmocka_unit_test(test_defaults_of_users),
	    cmocka_unit_test(test_a_store_has_no_limit_unless_told),
	    cmocka_unit_test(test_modes),
	    cmocka_unit_test(test_other_settings),
	    cmocka_unit_test(test_refusals_name_the_word),
	    cmocka_unit_test(test_generic_words),
	    cmocka_unit_test(test_help_names_every_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
