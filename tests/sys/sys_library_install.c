/* What `cmake --install` gives is what others need: a program outside of this tree finds the
 * library by pkg-config and by find_package(), is built with it, in C and C++, and works on a
 * mount; each public function has a manual page. Once with a static library, once with a shared
 * one. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/sys/harness.h"

#define DOES(sys, ...)                                                                             \
	do {                                                                                       \
		int status_ = sys_shell(sys, __VA_ARGS__);                                         \
		if (status_ != 0)                                                                  \
			fail_msg("%s:%d: status %d: %s", __FILE__, __LINE__, status_,              \
				 sys->output);                                                     \
	} while (0)

static const char program[] = "#include <fcntl.h>\n"
			      "#include <mapping.h>\n"
			      "#include <stdio.h>\n"
			      "int main(int argc, char **argv)\n"
			      "{\n"
			      "	struct mapping_attributes a = {};\n"
			      "	struct mapping_mount *mount;\n"
			      "	struct mapping_error error;\n"
			      "	int fd;\n"
			      "	a.type = MAPPING_EVENT;\n"
			      "	a.signaled = true;\n"
			      "	if (mapping_mount_find(argv[argc - 1], &mount, &error) ||\n"
			      "	    mapping_create(mount, argv[1], &a, O_RDWR, &fd, &error) ||\n"
			      "	    mapping_wait(fd, 0, &error) < 0)\n"
			      "		return printf(\"%s\\n\", error.text), 1;\n"
			      "	mapping_mount_close(mount);\n"
			      "	return puts(\"fine\"), 0;\n"
			      "}\n";

static const char project[] = "cmake_minimum_required(VERSION 3.13)\n"
			      "project(other C)\n"
			      "find_package(mapping ${WANTED} REQUIRED)\n"
			      "add_executable(other other.c)\n"
			      "target_link_libraries(other PRIVATE mapping::mapping)\n";

static void write_file(struct sys *sys, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof path, "%s/other/%s", sys->dir, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	fclose(file);
}

/* Built anew, without tests: an installation is not made from a tree under test. */
static void build_and_install(struct sys *sys, const char *shared)
{
	DOES(sys,
	     "cd %s && cmake -S %s -B build -G Ninja -DBUILD_TESTING=OFF -DBUILD_SHARED_LIBS=%s "
	     "-DCMAKE_INSTALL_PREFIX=/usr -DCMAKE_BUILD_TYPE=Release && ninja -C build mapping "
	     "mapctl manual",
	     sys->dir, TEST_SOURCE_DIR, shared);
	/* The daemon is not what this is about, and takes long. */
	DOES(sys,
	     "cd %s/build && for p in mappingfs mappingfs-worker; do "
	     "test -e bin/$p || ln -s /bin/true bin/$p; done && "
	     "cmake --install . --prefix %s/prefix && DESTDIR=%s/staged cmake --install .",
	     sys->dir, sys->dir, sys->dir);
}

static void check_tree(struct sys *sys, const char *root)
{
	DOES(sys,
	     "cd %s/%s && test -e include/mapping.h && "
	     "ls lib*/libmapping.* lib*/*/libmapping.* 2>/dev/null | grep . && "
	     "find . -name mapping.pc | grep . && find . -name mapping-config.cmake | grep . && "
	     "find . -name mapping-config-version.cmake | grep . && "
	     "test -e share/man/man1/mapctl.1 && test -e share/man/man8/mappingfs.8 && "
	     "bin/mapctl --version",
	     sys->dir, root);
}

/* Each function of the header has a page of its own, or one that leads to it. */
static void check_pages(struct sys *sys)
{
	DOES(sys,
	     "cd %s/prefix/share/man && "
	     "for f in $(grep -oE '\\bmapping_[a-z_]+\\(' ../../include/mapping.h | tr -d '(' | "
	     "sort -u) mapping; do "
	     "page=man3/$f.3; test -e $page || { echo no page $f; exit 1; }; "
	     "to=$(sed -n 's/^\\.so //p' $page); test -e ${to:-$page} || { echo $page; exit 1; }; "
	     "grep -q \"$f\" ${to:-$page} || { echo $f not in $to; exit 1; }; done; "
	     "grep -q 'SH VERBS' man1/mapctl.1",
	     sys->dir);
	/* Without a word from the formatter, where there is one. */
	DOES(sys,
	     "command -v groff >/dev/null || exit 0; cd %s/prefix/share/man && "
	     "for page in man1/mapctl.1 man3/mapping*.3 man8/mappingfs.8; do "
	     "groff -t -man -ww -Tutf8 -rLL=100n $page 2>&1 >/dev/null; done | grep . && exit 1; "
	     "exit 0",
	     sys->dir);
}

/* `root`: where the tree is that was installed for /usr, or for itself. */
static void check_users(struct sys *sys, const char *root)
{
	const char *path = "export PKG_CONFIG_PATH=$(dirname $(find . -name mapping.pc)); ";
	const char *libraries = "export LD_LIBRARY_PATH=$(dirname $(find $PWD -name "
				"'libmapping.*' | head -1)); ";

	DOES(sys,
	     "cd %s/%s && %s cc -Wall -Wextra -Werror -std=gnu11 ../other/other.c -o by-pc "
	     "$(pkg-config --cflags --libs mapping) && %s ./by-pc by-pc-%c %s",
	     sys->dir, root, path, libraries, root[0], sys->mnt);
	DOES(sys,
	     "cd %s/%s && %s ! command -v c++ || { c++ -Wall -Wextra -Werror -x c++ "
	     "../other/other.c -o by-cpp $(pkg-config --cflags --libs mapping) && "
	     "%s ./by-cpp by-cpp-%c %s; }",
	     sys->dir, root, path, libraries, root[0], sys->mnt);
	DOES(sys,
	     "cd %s/%s && cmake -S ../other -B by-cmake -DCMAKE_PREFIX_PATH=$PWD "
	     "-DWANTED=$(pkg-config --modversion $(find . -name mapping.pc)) && "
	     "cmake --build by-cmake && %s by-cmake/other by-cmake-%c %s",
	     sys->dir, root, libraries, root[0], sys->mnt);
	assert_int_not_equal(sys_shell(sys,
				       "cd %s/%s && cmake -S ../other -B too-new "
				       "-DCMAKE_PREFIX_PATH=$PWD -DWANTED=99.0",
				       sys->dir, root),
			     0);
}

static void install_and_use(struct sys *sys, const char *shared)
{
	if (TEST_SANITIZED)
		sys_skip("builds by itself: as in the plain build");
	sys_time_limit(sys, 300);
	sys_mount(sys, NULL);
	DOES(sys, "mkdir %s/other", sys->dir);
	write_file(sys, "other.c", program);
	write_file(sys, "CMakeLists.txt", project);
	build_and_install(sys, shared);
	check_tree(sys, "prefix");
	check_tree(sys, "staged/usr");
	check_pages(sys);
	check_users(sys, "prefix");
	DOES(sys, "mv %s/staged/usr %s/moved", sys->dir, sys->dir);
	check_users(sys, "moved");
	if (sys_shell(sys,
		      "nm -D --defined-only %s/build/lib/libmapping.so 2>/dev/null | "
		      "grep -v ' mapping_'",
		      sys->dir) == 0)
		fail_msg("the library shows more than its header: %s", sys->output);
}

static void a_static_library(void **state)
{
	install_and_use(*state, "OFF");
}

static void a_shared_library(void **state)
{
	install_and_use(*state, "ON");
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_CACHED(a_static_library),
    SYS_TEST_CACHED(a_shared_library),
};

int main(void)
{
	return sys_run_tests("library: installed", tests);
}
