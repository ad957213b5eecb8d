#!/bin/sh
# systemd as the first process of namespaces of its own, with the programs under test in /usr/bin.
#
#	systemd.sh DIR PROGRAMS
#
# DIR is all of the file system that can be written. Files of units are in DIR/units. Runs until it
# is killed, and systemd with it; its own cgroup is DIR/cgroup's content.
set -eu

dir=$1 programs=$2
if [ -z "${INSIDE-}" ]; then
	cgroup=$(findmnt -rnt cgroup2 -o TARGET | head -n 1)/mappingfs-test-$$
	mkdir "$cgroup"
	echo "$cgroup" >"$dir/cgroup"
	echo $$ >"$cgroup/cgroup.procs"
	INSIDE=1 exec unshare --mount --pid --fork --kill-child --cgroup --uts --propagation private \
		sh "$0" "$@"
fi

mount -t proc proc /proc
# Others' mounts are not to live on with us.
findmnt -rnt fuse.mappingfs -o TARGET | xargs -r umount -l
mount --bind "$dir" "$dir"
mount -t overlay -o "lowerdir=$programs:/usr/bin" programs /usr/bin
mount -o remount,bind,ro /
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
umount -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs -o mode=755 run /run
mkdir -p /run/systemd
cp -r "$dir/units" /run/systemd/system
export container=test
exec /lib/systemd/systemd --system --unit=test.target --log-target=console --show-status=no \
	>"$dir/systemd.log" 2>&1
