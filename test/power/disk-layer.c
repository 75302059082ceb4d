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
 *   RINGLEDGER_DISK_LIES       fdatasync: it says yes and makes nothing durable
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
  KIND_WRITE = 1, /* content of [offset, offset + length) before; no data: zeros */
  KIND_SIZE = 2,  /* length: new size; sizeBefore */
  KIND_SYNC = 3,  /* everything of this inode below `offset` is durable */
  KIND_CREATE = 4,
  KIND_MKDIR = 5,
  KIND_UNLINK = 6, /* the file lives on in graves/<sequence> */
  KIND_RMDIR = 7,
  KIND_RENAME = 8, /* length 1: what stood at the new name lives on in graves/<sequence> */
  KIND_LINK = 9,
  KIND_SYNC_DIRECTORY = 10,
  KIND_VOID = 11, /* the call recorded at `offset` failed: nothing was changed */
  KIND_LIE = 12,
};

/* 64 bytes, then data, path and second path. Its sequence number is its place in the journal. */
struct record {
  uint32_t magic;
  uint32_t kind;
  uint64_t inode;
  int64_t offset;
  int64_t length;
  int64_t size_before;
  uint32_t data_bytes;
  uint32_t path_bytes;
  uint32_t other_path_bytes;
  uint32_t reserved;
  uint64_t reserved_too;
};
_Static_assert(sizeof(struct record) == 64, "power-off.ts reads 64 bytes");

#define MAGIC 0x4c4e524au
#define MAX_DESCRIPTORS 65536
#define BOOT_ID "/proc/sys/kernel/random/boot_id"

static char root[PATH_MAX];
static size_t root_bytes;
static char journal_path[PATH_MAX];
static char graves[PATH_MAX];
static const char *boot_id;
static long sync_us;
static long die_after;
static int lies;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int journal = -1;
static int64_t journal_end;
/* Inode of each descriptor of a file below the root; 0 for all others. */
static uint64_t inodes[MAX_DESCRIPTORS];
static unsigned char *before;
static size_t before_bytes;

static void fail(const char *what) {
  char line[512];
  int size = snprintf(line, sizeof line, "disk-layer: %s: %s\n", what, strerror(errno));
  syscall(SYS_write, 2, line, size);
  abort();
}

__attribute__((constructor)) static void start(void) {
  const char *text = getenv("RINGLEDGER_DISK_ROOT");
  const char *directory = getenv("RINGLEDGER_DISK_JOURNAL");
  if (text == NULL || directory == NULL) return;
  snprintf(root, sizeof root, "%s", text);
  root_bytes = strlen(root);
  snprintf(journal_path, sizeof journal_path, "%s/journal", directory);
  snprintf(graves, sizeof graves, "%s/graves", directory);
  boot_id = getenv("RINGLEDGER_DISK_BOOT_ID");
  if ((text = getenv("RINGLEDGER_DISK_SYNC_US")) != NULL) sync_us = atol(text);
  if ((text = getenv("RINGLEDGER_DISK_DIE_AFTER")) != NULL) die_after = atol(text);
  if ((text = getenv("RINGLEDGER_DISK_LIES")) != NULL) lies = strcmp(text, "fdatasync") == 0;
}

/* ---- the journal; all of it under the lock ---- */

static void open_journal(void) {
  if (journal >= 0) return;
  int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
  journal = syscall(SYS_openat, AT_FDCWD, journal_path, flags, 0644);
  if (journal < 0) fail(journal_path);
  journal_end = lseek(journal, 0, SEEK_END);
}

/* Returns the record's sequence number. */
static int64_t add(uint32_t kind, struct record record, const void *data, const char *path,
                   const char *other_path) {
  open_journal();
  record.magic = MAGIC;
  record.kind = kind;
  record.path_bytes = path == NULL ? 0 : strlen(path);
  record.other_path_bytes = other_path == NULL ? 0 : strlen(other_path);
  struct iovec parts[4] = {
      {&record, sizeof record},
      {(void *)data, record.data_bytes},
      {(void *)path, record.path_bytes},
      {(void *)other_path, record.other_path_bytes},
  };
  ssize_t size = 0;
  for (int i = 0; i < 4; i++) size += parts[i].iov_len;
  if (syscall(SYS_writev, journal, parts, 4) != size) fail("the journal cannot be written");
  int64_t sequence = journal_end;
  journal_end += size;
  if (die_after > 0 && --die_after == 0) kill(getpid(), SIGKILL);
  return sequence;
}

static void add_void(int64_t sequence) {
  int error = errno;
  add(KIND_VOID, (struct record){.offset = sequence}, NULL, NULL, NULL);
  errno = error;
}

static unsigned char *room_before(size_t bytes) {
  if (bytes > before_bytes) {
    before = realloc(before, bytes);
    if (before == NULL) fail("no memory");
    before_bytes = bytes;
  }
  return before;
}

static int all_zero(const unsigned char *bytes, size_t count) {
  return count == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, count - 1) == 0);
}

/* What stands in [offset, offset + length) of a file of `size` bytes will be overwritten. */
static void add_write(int fd, uint64_t inode, int64_t offset, int64_t length, int64_t size) {
  struct record record = {
      .inode = inode, .offset = offset, .length = length, .size_before = size};
  int64_t there = size - offset < length ? size - offset : length;
  if (there > 0) {
    unsigned char *bytes = room_before(there);
    for (int64_t done = 0; done < there;) {
      ssize_t count = syscall(SYS_pread64, fd, bytes + done, there - done, offset + done);
      if (count <= 0) fail("what is overwritten cannot be read");
      done += count;
    }
    if (!all_zero(bytes, there)) record.data_bytes = there;
  }
  add(KIND_WRITE, record, before, NULL, NULL);
}

#define PIECE_BYTES 65536

/* The file will have `size` bytes; what is cut off reads as zeros from then on. */
static void add_size(int fd, uint64_t inode, int64_t size, int64_t size_before) {
  int64_t place = lseek(fd, 0, SEEK_CUR);
  for (int64_t at = size; at < size_before;) {
    at = lseek(fd, at, SEEK_DATA);
    if (at < 0) break;
    int64_t count = size_before - at < PIECE_BYTES ? size_before - at : PIECE_BYTES;
    add_write(fd, inode, at, count, size_before);
    at += count;
  }
  lseek(fd, place, SEEK_SET);
  struct record record = {.inode = inode, .length = size, .size_before = size_before};
  add(KIND_SIZE, record, NULL, NULL, NULL);
}

/* ---- which calls concern us ---- */

/* Inode of a regular file below the root with its size; 0 for anything else. */
static uint64_t tracked(int fd, int64_t *size) {
  if (fd < 0 || fd >= MAX_DESCRIPTORS || root_bytes == 0) return 0;
  uint64_t inode = __atomic_load_n(&inodes[fd], __ATOMIC_ACQUIRE);
  struct stat stat;
  if (inode == 0 || fstat(fd, &stat) != 0 || stat.st_ino != inode || !S_ISREG(stat.st_mode)) {
    return 0;
  }
  *size = stat.st_size;
  return inode;
}

/* The absolute path, `.` and `..` resolved in the text; 1 when it lies below the root. */
static int below_root(int directory, const char *path, char *full) {
  char text[2 * PATH_MAX];
  if (root_bytes == 0 || path == NULL || path[0] == 0) return 0;
  if (path[0] == '/') {
    if (strncmp(path, root, root_bytes) != 0 && strstr(path, "/.") == NULL) return 0;
    snprintf(text, sizeof text, "%s", path);
  } else {
    char base[PATH_MAX], link[64];
    if (directory == AT_FDCWD) {
      if (getcwd(base, sizeof base) == NULL) return 0;
    } else {
      snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
      ssize_t size = readlink(link, base, sizeof base - 1);
      if (size <= 0) return 0;
      base[size] = 0;
    }
    snprintf(text, sizeof text, "%s/%s", base, path);
  }
  size_t end = 0;
  for (char *rest = text, *part; (part = strtok_r(rest, "/", &rest)) != NULL;) {
    if (strcmp(part, ".") == 0) continue;
    if (strcmp(part, "..") == 0) {
      while (end > 0 && full[--end] != '/') continue;
      continue;
    }
    size_t size = strlen(part);
    if (end + size + 2 > PATH_MAX) return 0;
    full[end++] = '/';
    memcpy(full + end, part, size);
    end += size;
  }
  full[end] = 0;
  return strncmp(full, root, root_bytes) == 0 && (full[root_bytes] == '/' || full[root_bytes] == 0);
}

static int there(const char *path, struct stat *stat) {
  return fstatat(AT_FDCWD, path, stat, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Keeps what stands at `path` alive under the sequence number that the next record will have. */
static void bury(const char *path) {
  open_journal();
  char grave[PATH_MAX + 32];
  snprintf(grave, sizeof grave, "%s/%lld", graves, (long long)journal_end);
  if (syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, grave, 0) != 0) fail(grave);
}

/* ---- open, close ---- */

static int open_tracked(const char *path, int flags, mode_t mode) {
  struct stat stat;
  pthread_mutex_lock(&lock);
  int is_there = there(path, &stat);
  int64_t sequence = -1;
  if (!is_there && (flags & O_CREAT)) {
    sequence = add(KIND_CREATE, (struct record){0}, NULL, path, NULL);
  }
  /* What is overwritten must be readable; what is cut off is recorded first. */
  int opened = flags & ~O_TRUNC;
  if ((opened & O_ACCMODE) == O_WRONLY) opened = (opened & ~O_ACCMODE) | O_RDWR;
  int fd = syscall(SYS_openat, AT_FDCWD, path, opened, mode);
  if (fd < 0 && sequence >= 0) add_void(sequence);
  if (fd >= 0 && fd < MAX_DESCRIPTORS && fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode)) {
    if ((flags & O_TRUNC) && stat.st_size > 0) {
      add_size(fd, stat.st_ino, 0, stat.st_size);
      if (syscall(SYS_ftruncate, fd, 0) != 0) fail("truncation at open");
    }
    __atomic_store_n(&inodes[fd], stat.st_ino, __ATOMIC_RELEASE);
  }
  pthread_mutex_unlock(&lock);
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
  pthread_mutex_lock(&lock);
  tracked(fd, &size);
  int64_t start = offset;
  if (fcntl(fd, F_GETFL) & O_APPEND) start = size;
  else if (start < 0) start = lseek(fd, 0, SEEK_CUR);
  add_write(fd, inode, start, bytes, size);
  ssize_t done = offset < 0 ? syscall(SYS_writev, fd, parts, count)
                            : syscall(SYS_pwritev, fd, parts, count, offset, 0);
  pthread_mutex_unlock(&lock);
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
  pthread_mutex_lock(&lock);
  tracked(fd, &size);
  if (length != size) add_size(fd, inode, length, size);
  int result = syscall(SYS_ftruncate, fd, length);
  pthread_mutex_unlock(&lock);
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

static void take_time(void) {
  if (sync_us <= 0) return;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  uint64_t mixed = (uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15u;
  long micros = (mixed >> 33) % (2 * sync_us);
  struct timespec time = {micros / 1000000, micros % 1000000 * 1000};
  nanosleep(&time, NULL);
}

static int sync_any(int fd, int may_lie) {
  int64_t size;
  char path[PATH_MAX], link[64], full[PATH_MAX];
  uint64_t inode = tracked(fd, &size);
  int is_directory = 0;
  if (inode == 0 && root_bytes > 0) {
    struct stat stat;
    if (fstat(fd, &stat) == 0 && S_ISDIR(stat.st_mode)) {
      snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
      ssize_t count = readlink(link, path, sizeof path - 1);
      if (count > 0) path[count] = 0;
      is_directory = count > 0 && below_root(AT_FDCWD, path, full);
    }
  }
  if (inode == 0 && !is_directory) return syscall(may_lie ? SYS_fdatasync : SYS_fsync, fd);
  pthread_mutex_lock(&lock);
  open_journal();
  struct record record = {.inode = inode, .offset = journal_end};
  pthread_mutex_unlock(&lock);
  take_time();
  pthread_mutex_lock(&lock);
  if (lies && may_lie) add(KIND_LIE, (struct record){0}, NULL, NULL, NULL);
  else if (is_directory) add(KIND_SYNC_DIRECTORY, record, NULL, full, NULL);
  else add(KIND_SYNC, record, NULL, NULL, NULL);
  pthread_mutex_unlock(&lock);
  return 0;
}

int fsync(int fd) { return sync_any(fd, 0); }

int fdatasync(int fd) { return sync_any(fd, 1); }

/* ---- names ---- */

int renameat2(int from_directory, const char *from, int to_directory, const char *to,
              unsigned int flags) {
  char full_from[PATH_MAX], full_to[PATH_MAX];
  int is_ours = below_root(from_directory, from, full_from);
  if (is_ours != below_root(to_directory, to, full_to)) fail("a rename across the root");
  if (!is_ours) return syscall(SYS_renameat2, from_directory, from, to_directory, to, flags);
  if (flags != 0) fail("renameat2 with flags is not modelled");
  pthread_mutex_lock(&lock);
  struct stat source, target;
  struct record record = {0};
  int64_t sequence = -1;
  if (there(full_from, &source)) {
    record.inode = source.st_ino;
    if (there(full_to, &target) && S_ISREG(target.st_mode)) {
      bury(full_to);
      record.length = 1;
    }
    sequence = add(KIND_RENAME, record, NULL, full_from, full_to);
  }
  int result = syscall(SYS_renameat2, AT_FDCWD, full_from, AT_FDCWD, full_to, 0);
  if (result != 0 && sequence >= 0) add_void(sequence);
  pthread_mutex_unlock(&lock);
  return result;
}

int renameat(int from_directory, const char *from, int to_directory, const char *to) {
  return renameat2(from_directory, from, to_directory, to, 0);
}

int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int linkat(int from_directory, const char *from, int to_directory, const char *to, int flags) {
  char full_from[PATH_MAX], full_to[PATH_MAX];
  int is_ours = below_root(from_directory, from, full_from);
  if (is_ours != below_root(to_directory, to, full_to)) fail("a link across the root");
  if (!is_ours) return syscall(SYS_linkat, from_directory, from, to_directory, to, flags);
  pthread_mutex_lock(&lock);
  struct stat stat;
  int64_t sequence = -1;
  if (!there(full_to, &stat)) {
    sequence = add(KIND_LINK, (struct record){0}, NULL, full_from, full_to);
  }
  int result = syscall(SYS_linkat, AT_FDCWD, full_from, AT_FDCWD, full_to, flags);
  if (result != 0 && sequence >= 0) add_void(sequence);
  pthread_mutex_unlock(&lock);
  return result;
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int symlink(const char *text, const char *path) {
  char full[PATH_MAX];
  if (below_root(AT_FDCWD, path, full)) fail("symlink is not modelled");
  return syscall(SYS_symlinkat, text, AT_FDCWD, path);
}

int mkdirat(int directory, const char *path, mode_t mode) {
  char full[PATH_MAX];
  if (!below_root(directory, path, full)) return syscall(SYS_mkdirat, directory, path, mode);
  pthread_mutex_lock(&lock);
  struct stat stat;
  int64_t sequence = -1;
  if (!there(full, &stat)) sequence = add(KIND_MKDIR, (struct record){0}, NULL, full, NULL);
  int result = syscall(SYS_mkdirat, AT_FDCWD, full, mode);
  if (result != 0 && sequence >= 0) add_void(sequence);
  pthread_mutex_unlock(&lock);
  return result;
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int unlinkat(int directory, const char *path, int flags) {
  char full[PATH_MAX];
  if (!below_root(directory, path, full)) return syscall(SYS_unlinkat, directory, path, flags);
  pthread_mutex_lock(&lock);
  struct stat stat;
  struct record record = {0};
  int64_t sequence = -1;
  if (there(full, &stat)) {
    record.inode = stat.st_ino;
    if (S_ISDIR(stat.st_mode)) {
      if (flags & AT_REMOVEDIR) sequence = add(KIND_RMDIR, record, NULL, full, NULL);
    } else if ((flags & AT_REMOVEDIR) == 0) {
      bury(full);
      sequence = add(KIND_UNLINK, record, NULL, full, NULL);
    }
  }
  int result = syscall(SYS_unlinkat, AT_FDCWD, full, flags);
  if (result != 0 && sequence >= 0) add_void(sequence);
  pthread_mutex_unlock(&lock);
  return result;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }

int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int remove(const char *path) {
  int result = unlink(path);
  return result != 0 && (errno == EISDIR || errno == EPERM) ? rmdir(path) : result;
}
