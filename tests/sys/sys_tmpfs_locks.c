/* flock, fcntl and open-file-description locks on the mount against tmpfs, between processes. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/util.h"
#include "tests/sys/oracle.h"

static int lock(int fd, int command, short type, off_t start, off_t length)
{
	struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
	int rc = fcntl(fd, command, &l);
	if (rc == 0 && (command == F_GETLK || command == F_OFD_GETLK))
		oracle_note("  found type %d start %ld len %ld", l.l_type, (long)l.l_start,
			    (long)l.l_len);
	return rc;
}

static void try_flock(void *unused)
{
	(void)unused;
	int fd = T_FD(open("f", O_RDWR));
	T(flock(fd, LOCK_SH | LOCK_NB));
	T(flock(fd, LOCK_EX | LOCK_NB));
	T(flock(fd, LOCK_UN));
}

static void flocks(const void *unused)
{
	(void)unused;
	oracle_write_file("f", "text");
	int a = T_FD(open("f", O_RDONLY)), b = T_FD(open("f", O_RDWR));
	T(flock(a, LOCK_SH));
	T(flock(b, LOCK_SH | LOCK_NB));
	oracle_in_child(try_flock, NULL);
	T(flock(b, LOCK_EX | LOCK_NB));
	T(flock(a, LOCK_UN));
	T(flock(b, LOCK_EX | LOCK_NB));
	oracle_in_child(try_flock, NULL);
	int c = T_FD(dup(b));
	T(close(b));
	oracle_in_child(try_flock, NULL); /* the duplicate keeps it */
	T(close(c));
	oracle_in_child(try_flock, NULL);
	int d = T_FD(open(".", O_RDONLY));
	T(flock(d, LOCK_EX | LOCK_NB));
	T(flock(open(".", O_RDONLY), LOCK_EX | LOCK_NB));
	T(flock(a, 99));
}

static void try_fcntl(void *unused)
{
	(void)unused;
	int fd = T_FD(open("f", O_RDWR));
	T(lock(fd, F_GETLK, F_WRLCK, 0, 0));
	T(lock(fd, F_SETLK, F_RDLCK, 0, 10));
	T(lock(fd, F_SETLK, F_WRLCK, 0, 10));
	T(lock(fd, F_SETLK, F_WRLCK, 50, 50));
	T(lock(fd, F_SETLK, F_RDLCK, 200, 0));
	T(lock(fd, F_OFD_SETLK, F_WRLCK, 20, 1));
}

static void record_locks(const void *unused)
{
	(void)unused;
	oracle_write_file("f", "text");
	int a = T_FD(open("f", O_RDWR)), ro = T_FD(open("f", O_RDONLY));
	T(lock(a, F_SETLK, F_RDLCK, 0, 20));
	oracle_in_child(try_fcntl, NULL);
	T(lock(a, F_SETLK, F_WRLCK, 0, 100));
	oracle_in_child(try_fcntl, NULL);
	T(lock(a, F_SETLK, F_UNLCK, 40, 20));
	oracle_in_child(try_fcntl, NULL);
	T(lock(a, F_SETLK, F_WRLCK, 150, 0));
	oracle_in_child(try_fcntl, NULL);
	T(lock(ro, F_SETLK, F_WRLCK, 0, 1));
	T(lock(a, F_SETLK, F_WRLCK, -5, 1));
	T(lock(a, F_SETLK, 99, 0, 1));
	T(close(ro)); /* drops all of this process's locks */
	oracle_in_child(try_fcntl, NULL);
}

static void description_locks(const void *unused)
{
	(void)unused;
	oracle_write_file("f", "text");
	int a = T_FD(open("f", O_RDWR)), b = T_FD(open("f", O_RDWR));
	T(lock(a, F_OFD_SETLK, F_WRLCK, 0, 10));
	T(lock(b, F_OFD_SETLK, F_WRLCK, 5, 10));
	T(lock(b, F_OFD_GETLK, F_WRLCK, 5, 10));
	T(lock(b, F_OFD_SETLK, F_WRLCK, 10, 10));
	oracle_in_child(try_fcntl, NULL);
	T(close(a));
	T(lock(b, F_OFD_SETLK, F_WRLCK, 0, 10));
	oracle_in_child(try_fcntl, NULL);
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void blocking(const void *unused)
{
	struct sigaction sa = {.sa_handler = on_alarm};
	int to_child[2], to_parent[2], status;
	char byte;
	(void)unused;
	oracle_write_file("f", "text");
	sigaction(SIGALRM, &sa, NULL);
	if (pipe(to_child) || pipe(to_parent))
		return;
	pid_t pid = fork();
	if (pid == 0) {
		AUTO_CLOSE int fd = open("f", O_RDWR);
		lock(fd, F_SETLK, F_WRLCK, 0, 10);
		flock(fd, LOCK_EX);
		write(to_parent[1], "x", 1);
		read(to_child[0], &byte, 1);
		usleep(100000);
		_exit(0);
	}
	read(to_parent[0], &byte, 1);
	int fd = T_FD(open("f", O_RDWR));
	T(lock(fd, F_SETLK, F_WRLCK, 0, 1));
	alarm(1);
	T(lock(fd, F_SETLKW, F_WRLCK, 0, 1)); /* EINTR */
	alarm(1);
	T(flock(fd, LOCK_EX)); /* EINTR */
	write(to_child[1], "x", 1);
	T(lock(fd, F_SETLKW, F_WRLCK, 0, 1)); /* when the child ends */
	T(flock(fd, LOCK_EX));
	waitpid(pid, &status, 0);
}

static void leases(const void *unused)
{
	(void)unused;
	oracle_write_file("f", "text");
	int fd = T_FD(open("f", O_RDWR));
	T(fcntl(fd, F_GETLEASE));
	T(fcntl(fd, F_SETPIPE_SZ, 4096));
}

static const struct oracle_case cases[] = {
    ORACLE_CASE(flocks),   ORACLE_CASE(record_locks), ORACLE_CASE(description_locks),
    ORACLE_CASE(blocking), ORACLE_CASE(leases),
};

int main(void)
{
	return oracle_main("locks", cases, ARRAY_SIZE(cases));
}
