/* What a worker may ask the kernel for. The list was made from what the system tests exercise, by
 * scripts/seccomp-trace, which says what is here and was not seen, and what was seen and is not
 * here; and by thought, for what other versions of libc call instead ("other libc" below). Every
 * system test fails if its worker was refused a call.
 *
 * Not here, and so refused: to execute anything, to make a process (but the errand of
 * core/job_rights.c), mount, namespaces, ptrace and the memory of others, sockets, pages that can
 * be executed, kernel modules, bpf, keys. */
#include "fs/confine.h"

#include "core/util.h"
#include "fs/kernel.h"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* Of headers newer than ours; the same on all machines that we have a filter for. */
#define CALL_FCHMODAT2               452
#define CALL_CACHESTAT               451
#define CALL_PIDFD_GET_PID_NAMESPACE 0xff05
#define CALL_NS_GET_PID_FROM_PIDNS   0x8004b706
#define CALL_PR_SET_VMA              0x53564d41 /* names of memory, by other libc */

#define WHOLE 0xffffffffU

#define ANY(name)                                                                                  \
	{                                                                                          \
		.number = SYS_##name, .how = CALL_ANY                                              \
	}
#define WITH(name, n, bits, wanted)                                                                \
	{                                                                                          \
		.number = SYS_##name, .how = CALL_ARGUMENT, .argument = (n), .mask = (bits),       \
		.value = (uint32_t)(wanted)                                                        \
	}
#define NOT(name, n, wanted)                                                                       \
	{                                                                                          \
		.number = SYS_##name, .how = CALL_NOT, .argument = (n), .mask = WHOLE,             \
		.value = (wanted)                                                                  \
	}
#define ERROR(name, error)                                                                         \
	{                                                                                          \
		.number = SYS_##name, .how = CALL_ERROR, .value = (error)                          \
	}

const struct confine_call confine_calls[] = {
    /* --- those that depend on an argument --- */
    WITH(ioctl, 1, WHOLE, KERNEL_IOC_BACKING_OPEN),
    WITH(ioctl, 1, WHOLE, KERNEL_IOC_BACKING_CLOSE),
    WITH(ioctl, 1, WHOLE, CALL_PIDFD_GET_PID_NAMESPACE),
    WITH(ioctl, 1, WHOLE, CALL_NS_GET_PID_FROM_PIDNS),
    WITH(ioctl, 1, WHOLE, (uint32_t)FS_IOC_FIEMAP), /* core/unwritten.c */

    /* Any file of a file system is opened by handle: only in the tree's and that of cgroups. */
    WITH(open_by_handle_at, 0, WHOLE, HANDOVER_FD_TREE),
    WITH(open_by_handle_at, 0, WHOLE, HANDOVER_FD_CGROUP),
    /* And nothing takes their places (nor is there a dup2). */
    NOT(close, 0, HANDOVER_FD_TREE),
    NOT(close, 0, HANDOVER_FD_CGROUP),
    ANY(close),

    WITH(fcntl, 1, WHOLE, F_GETFL),
    WITH(fcntl, 1, WHOLE, F_SETFL),
    WITH(fcntl, 1, WHOLE, F_GETFD),
    WITH(fcntl, 1, WHOLE, F_SETFD),
    WITH(fcntl, 1, WHOLE, F_SETLEASE),
    WITH(fcntl, 1, WHOLE, F_DUPFD_CLOEXEC),
    WITH(fcntl, 1, WHOLE, F_ADD_SEALS),

    WITH(mmap, 2, PROT_EXEC, 0),
    WITH(mprotect, 2, PROT_EXEC, 0),

    WITH(clone, 0, CLONE_VM | CLONE_THREAD, CLONE_VM | CLONE_THREAD),
    WITH(clone, 0, WHOLE, CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_FS), /* job_rights.c */
    ERROR(clone3, ENOSYS), /* its flags cannot be seen; libc does without */

    WITH(prctl, 0, WHOLE, PR_SET_KEEPCAPS),
    WITH(prctl, 0, WHOLE, PR_SET_DUMPABLE),
    WITH(prctl, 0, WHOLE, PR_GET_DUMPABLE),
    WITH(prctl, 0, WHOLE, CALL_PR_SET_VMA),

    /* libc's syslog tries anew when its socket is gone; nothing is in reach of a new one. */
    ERROR(socket, EACCES),

    /* --- files --- */
    ANY(read),
    ANY(write),
    ANY(readv),
    ANY(writev),
    ANY(pread64),
    ANY(pwrite64),
    ANY(lseek),
    ANY(openat),
    ANY(fstat),
    ANY(newfstatat),
    ANY(statx),
    ANY(statfs),
    ANY(fstatfs),
    ANY(faccessat),
    ANY(faccessat2),
    ANY(getdents64),
    ANY(readlinkat),
    ANY(mkdirat),
    ANY(mknodat),
    ANY(symlinkat),
    ANY(linkat),
    ANY(unlinkat),
    ANY(renameat2),
    ANY(fchmod),
    ANY(fchmodat),
    {.number = CALL_FCHMODAT2, .how = CALL_ANY},
    ANY(fchown),
    ANY(fchownat),
    ANY(utimensat),
    ANY(ftruncate),
    ANY(fallocate),
    ANY(fsync),
    ANY(syncfs),
    ANY(fdatasync),
    ANY(sync_file_range),
    ANY(fadvise64),
    {.number = CALL_CACHESTAT, .how = CALL_ANY},
    ANY(umask),
    ANY(dup),
    ANY(name_to_handle_at),
    ANY(getxattr),
    ANY(lgetxattr),
    ANY(fgetxattr),
    ANY(setxattr),
    ANY(lsetxattr),
    ANY(fsetxattr),
    ANY(listxattr),
    ANY(flistxattr),
    ANY(removexattr),
    ANY(fremovexattr),
    ANY(memfd_create),
    ANY(inotify_add_watch),
    ANY(inotify_rm_watch),

    /* --- waiting --- */
    ANY(epoll_create1),
    ANY(epoll_ctl),
    ANY(epoll_pwait),
    ANY(epoll_pwait2),
    ANY(ppoll),
    ANY(eventfd2),
    ANY(signalfd4),
    ANY(timerfd_create),
    ANY(timerfd_settime),
    ANY(timerfd_gettime),
    ANY(nanosleep),
    ANY(clock_nanosleep),
    ANY(clock_gettime), /* where the vdso has none, as these */
    ANY(clock_getres),
    ANY(gettimeofday),
    ANY(restart_syscall),

    /* --- sockets that are there --- */
    ANY(accept4),
    ANY(recvmsg),
    ANY(sendmsg),
    ANY(recvfrom),
    ANY(sendto),
    ANY(getsockopt),
    ANY(shutdown),

    /* --- processes --- */
    ANY(pidfd_open),
    ANY(pidfd_send_signal),
    ANY(wait4),
    ANY(setfsuid),
    ANY(setfsgid),
    ANY(setresuid), /* the errand's */
    ANY(capset),
    ANY(capget),
    ANY(getpid),
    ANY(getppid),
    ANY(gettid),
    ANY(getuid),
    ANY(geteuid),
    ANY(getgid),
    ANY(getegid),
    ANY(getrandom),
    ANY(prlimit64),
    ANY(sysinfo),
    ANY(uname),

    /* --- memory, threads, signals --- */
    ANY(brk),
    ANY(munmap),
    ANY(mremap),
    ANY(madvise),
    ANY(mincore),
    ANY(futex),
    ANY(set_robust_list),
    ANY(rseq),
    ANY(sched_yield),
    ANY(sched_getaffinity),
    ANY(rt_sigaction),
    ANY(rt_sigprocmask),
    ANY(rt_sigreturn),
    ANY(sigaltstack),
    ANY(tgkill), /* abort(3) */
    ANY(exit),
    ANY(exit_group),

/* --- what only older machines have --- */
#ifdef SYS_open
    ANY(open),
    ANY(stat),
    ANY(lstat),
    ANY(access),
    ANY(readlink),
    ANY(mkdir),
    ANY(unlink),
    ANY(rmdir),
    ANY(chmod),
    ANY(chown),
    ANY(lchown),
    ANY(renameat),
    ANY(epoll_wait),
    ANY(poll),
    ANY(getrlimit),
    ANY(time),
#endif
#ifdef MAPPINGFS_TEST_POINTS
    ANY(kill), /* itself */
#endif
};

const size_t confine_call_count = ARRAY_SIZE(confine_calls);
