#ifndef MAPPINGFS_FS_MAIN_H
#define MAPPINGFS_FS_MAIN_H

#ifndef MAPPINGFS_VERSION
#define MAPPINGFS_VERSION "0.1.0"
#endif

/* --version: ours, libfuse's, the kernel's, and whether passthrough can be had. An exit code. */
int main_version(void);

#endif
