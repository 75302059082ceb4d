/*
 * A disk that can lose power, under an unmodified process: preloaded, it stands between the process
 * and libc's file calls. Calls on files below RINGLEDGER_DISK_ROOT go through, and before each one
 * that changes anything a record of how to take it back is added to a journal. A sync adds a record
 * that what came before it is durable. After the process was killed, power-off.ts takes back what
 * no sync covered, wholly or in part: exactly what a power cut does to a cache.
 *
 * Owns the invariant: a change is in the journal before it is made, and a sync's record is there
 * only after the sync took its time, so that a kill at any instruction leaves a true journal. What
 * it cannot record it refuses loudly (abort).
 *
 *   RINGLEDGER_DISK_ROOT       absolute path of the directory that loses power
 *   RINGLEDGER_DISK_JOURNAL    directory for `journal` and `graves`, on the same file system
 *   RINGLEDGER_DISK_BOOT_ID    file that is read for /proc/sys/kernel/random/boot_id
 *   RINGLEDGER_DISK_SYNC_US    a sync takes up to twice this long (microseconds; default 0)
 *   RINGLEDGER_DISK_DIE_AFTER  the process kills itself at its so many-th recorded call
 *   RINGLEDGER_DISK_LIES       fdatasync: it says yes and makes nothing durable, nor does O_DSYNC
 */
#include "disk-layer.h"
#include <stdarg.h>
#include <time.h>

#define MAX_DESCRIPTORS 65536
#define BOOT_ID "/proc/sys/kernel/random/boot_id"

static const char *boot_id;
static long sync_us;
static int lies;
/* Inode of each descriptor of a file below the root; 0 for all others. */
static uint64_t inodes[MAX_DESCRIPTORS];
/* Descriptors opened with O_DSYNC: what each write of them wrote is durable when it returns. */
static unsigned char durable_writes[MAX_DESCRIPTORS];

__attribute__((constructor)) static void start(void) {
  const char *text;
  boot_id = getenv("RINGLEDGER_DISK_BOOT_ID");
  if ((text = getenv("RINGLEDGER_DISK_SYNC_US")) != NULL) sync_us = atol(text);
  if ((text = getenv("RINGLEDGER_DISK_LIES")) != NULL) lies = strcmp(text, "fdatasync") == 0;
}

/* Inode of a regular file below the root with its size; 0 for anything else. */
static uint64_t tracked(int fd, int64_t *size) {
  if (fd < 0 || fd >= MAX_DESCRIPTORS || !has_root()) return 0;
  uint64_t inode = __atomic_load_n(&inodes[fd], __ATOMIC_ACQUIRE);
  struct stat stat;
  if (inode == 0 || fstat(fd, &stat) != 0 || stat.st_ino != inode || !S_ISREG(stat.st_mode)) {
    return 0;
  }
  *size = stat.st_size;
  return inode;
}

/* ---- open, close ---- */

static int open_tracked(const char *path, int flags, mode_t mode) {
  struct stat stat;
  pthread_mutex_lock(&disk_lock);
  int is_there = there(path, &stat);
  int64_t sequence = -1;
  if (!is_there && (flags & O_CREAT)) {
    sequence = add(KIND_CREATE, (struct record){0}, NULL, path, NULL);
  }
  /* What is overwritten must be readable; what is cut off is recorded first. */
  int opened = flags & ~(O_TRUNC | O_DIRECT | O_SYNC);
  if ((opened & O_ACCMODE) == O_WRONLY) opened = (opened & ~O_ACCMODE) | O_RDWR;
  int fd = syscall(SYS_openat, AT_FDCWD, path, opened, mode);
  if (fd < 0 && sequence >= 0) add_void(sequence);
  if (fd >= 0 && fd < MAX_DESCRIPTORS && fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode)) {
    if ((flags & O_TRUNC) && stat.st_size > 0) {
      add_size(fd, stat.st_ino, 0, stat.st_size);
      if (syscall(SYS_ftruncate, fd, 0) != 0) fail("truncation at open");
    }
    durable_writes[fd] = (flags & O_DSYNC) != 0;
    __atomic_store_n(&inodes[fd], stat.st_ino, __ATOMIC_RELEASE);
  }
  pthread_mutex_unlock(&disk_lock);
  return fd;
}

static int open_any(int directory, const char *path, int flags, mode_t mode) {
  char full[PATH_MAX];
  if (boot_id != NULL && path != NULL && strcmp(path, BOOT_ID) == 0) path = boot_id;
  int is_directory = (flags & O_DIRECTORY) || (flags & O_TMPFILE) == O_TMPFILE;
  if (is_directory || !below_root(directory, path, full)) {
    return syscall(SYS_openat, directory, path, flags, mode);
  }
  return open_tracked(full, flags, mode);
}

#define MODE_OF(flags)                                                                             \
  mode_t mode = 0;                                                                                 \
  if (((flags) & O_CREAT) || ((flags) & O_TMPFILE) == O_TMPFILE) {                                 \
    va_list rest;                                                                                  \
    va_start(rest, flags);                                                                         \
    mode = va_arg(rest, mode_t);                                                                   \
    va_end(rest);                                                                                  \
  }

int open(const char *path, int flags, ...) {
  MODE_OF(flags)
  return open_any(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  MODE_OF(flags)
  return open_any(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

int openat(int directory, const char *path, int flags, ...) {
  MODE_OF(flags)
  return open_any(directory, path, flags, mode);
}

int openat64(int directory, const char *path, int flags, ...) {
  MODE_OF(flags)
  return open_any(directory, path, flags | O_LARGEFILE, mode);
}

int creat(const char *path, mode_t mode) {
  return open_any(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int creat64(const char *path, mode_t mode) { return creat(path, mode); }

int close(int fd) {
  /* Before the number can belong to another file. */
  if (fd >= 0 && fd < MAX_DESCRIPTORS) __atomic_store_n(&inodes[fd], 0, __ATOMIC_RELEASE);
  return syscall(SYS_close, fd);
}

/* ---- content ---- */

static void take_time(void) {
  if (sync_us <= 0) return;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  uint64_t mixed = (uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15u;
  long micros = (mixed >> 33) % (2 * sync_us);
  struct timespec time = {micros / 1000000, micros % 1000000 * 1000};
  nanosleep(&time, NULL);
}

static void sync_range(struct record record) {
  take_time();
  pthread_mutex_lock(&disk_lock);
  if (lies) add(KIND_LIE, (struct record){0}, NULL, NULL, NULL);
  else add(KIND_SYNC_RANGE, record, NULL, NULL, NULL);
  pthread_mutex_unlock(&disk_lock);
}

static int64_t bytes_of(const struct iovec *parts, int count) {
  int64_t bytes = 0;
  for (int i = 0; i < count; i++) bytes += parts[i].iov_len;
  return bytes;
}

static ssize_t write_parts(int fd, const struct iovec *parts, int count, int64_t offset) {
  int64_t size;
  uint64_t inode = tracked(fd, &size);
  int64_t bytes = bytes_of(parts, count);
  if (inode == 0 || bytes == 0) {
    return offset < 0 ? syscall(SYS_writev, fd, parts, count)
                      : syscall(SYS_pwritev, fd, parts, count, offset, 0);
  }
  pthread_mutex_lock(&disk_lock);
  tracked(fd, &size);
  int64_t start = offset;
  if (fcntl(fd, F_GETFL) & O_APPEND) start = size;
  else if (start < 0) start = lseek(fd, 0, SEEK_CUR);
  add_write(fd, inode, start, bytes, size);
  int64_t below = journal_end;
  int is_durable = durable_writes[fd];
  if (is_durable && start + bytes > size) fail("O_DSYNC that lengthens a file is not modelled");
  ssize_t done = offset < 0 ? syscall(SYS_writev, fd, parts, count)
                            : syscall(SYS_pwritev, fd, parts, count, offset, 0);
  pthread_mutex_unlock(&disk_lock);
  if (is_durable && done > 0) {
    sync_range((struct record){.inode = inode, .offset = start, .length = done, .below = below});
  }
  return done;
}

ssize_t write(int fd, const void *bytes, size_t count) {
  int64_t size;
  if (tracked(fd, &size) == 0) return syscall(SYS_write, fd, bytes, count);
  return write_parts(fd, &(struct iovec){(void *)bytes, count}, 1, -1);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  return write_parts(fd, parts, count, -1);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
  return write_parts(fd, &(struct iovec){(void *)bytes, count}, 1, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
  return pwrite64(fd, bytes, count, offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
  return write_parts(fd, parts, count, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
  return write_parts(fd, parts, count, offset);
}

int ftruncate64(int fd, off64_t length) {
  int64_t size;
  uint64_t inode = tracked(fd, &size);
  if (inode == 0) return syscall(SYS_ftruncate, fd, length);
  pthread_mutex_lock(&disk_lock);
  tracked(fd, &size);
  if (length != size) add_size(fd, inode, length, size);
  int result = syscall(SYS_ftruncate, fd, length);
  pthread_mutex_unlock(&disk_lock);
  return result;
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int truncate(const char *path, off_t length) {
  char full[PATH_MAX];
  if (!below_root(AT_FDCWD, path, full)) return syscall(SYS_truncate, path, length);
  int fd = open_tracked(full, O_RDWR, 0);
  if (fd < 0) return -1;
  int result = ftruncate64(fd, length);
  close(fd);
  return result;
}

int truncate64(const char *path, off64_t length) { return truncate(path, length); }

static int refuse_allocation(int fd, int mode, off_t offset, off_t length) {
  int64_t size;
  if (tracked(fd, &size) != 0) fail("fallocate is not modelled");
  return syscall(SYS_fallocate, fd, mode, offset, length);
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
  return refuse_allocation(fd, mode, offset, length);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
  return refuse_allocation(fd, mode, offset, length);
}

ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t count,
                        unsigned int flags) {
  int64_t size;
  if (tracked(to, &size) != 0) fail("copy_file_range is not modelled");
  return syscall(SYS_copy_file_range, from, from_at, to, to_at, count, flags);
}

/* ---- sync ---- */

static int sync_any(int fd, int may_lie) {
  int64_t size;
  char path[PATH_MAX], link[64], full[PATH_MAX];
  uint64_t inode = tracked(fd, &size);
  int is_directory = 0;
  if (inode == 0 && has_root()) {
    struct stat stat;
    if (fstat(fd, &stat) == 0 && S_ISDIR(stat.st_mode)) {
      snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
      ssize_t count = readlink(link, path, sizeof path - 1);
      if (count > 0) path[count] = 0;
      is_directory = count > 0 && below_root(AT_FDCWD, path, full);
    }
  }
  if (inode == 0 && !is_directory) return syscall(may_lie ? SYS_fdatasync : SYS_fsync, fd);
  pthread_mutex_lock(&disk_lock);
  open_journal();
  struct record record = {.inode = inode, .offset = journal_end};
  pthread_mutex_unlock(&disk_lock);
  take_time();
  pthread_mutex_lock(&disk_lock);
  if (lies && may_lie) add(KIND_LIE, (struct record){0}, NULL, NULL, NULL);
  else if (is_directory) add(KIND_SYNC_DIRECTORY, record, NULL, full, NULL);
  else add(KIND_SYNC, record, NULL, NULL, NULL);
  pthread_mutex_unlock(&disk_lock);
  return 0;
}

int fsync(int fd) { return sync_any(fd, 0); }

int fdatasync(int fd) { return sync_any(fd, 1); }
