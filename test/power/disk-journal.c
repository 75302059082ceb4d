/*
 * The journal of the disk layer: how to take back every change, and what was synced. Owns the rule
 * that a record is written whole, by one call, before the change that it is about.
 */
#include "disk-layer.h"
#include <signal.h>

static char root[PATH_MAX];
static size_t root_bytes;
static char journal_path[PATH_MAX];
static char graves[PATH_MAX];
static long die_after;
static int journal = -1;
static unsigned char *before;
static size_t before_bytes;

pthread_mutex_t disk_lock = PTHREAD_MUTEX_INITIALIZER;
int64_t journal_end;

void fail(const char *what) {
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
  if ((text = getenv("RINGLEDGER_DISK_DIE_AFTER")) != NULL) die_after = atol(text);
}

int has_root(void) { return root_bytes > 0; }

void open_journal(void) {
  if (journal >= 0) return;
  int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
  journal = syscall(SYS_openat, AT_FDCWD, journal_path, flags, 0644);
  if (journal < 0) fail(journal_path);
  journal_end = lseek(journal, 0, SEEK_END);
}

int64_t add(uint32_t kind, struct record record, const void *data, const char *path,
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

void add_void(int64_t sequence) {
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

void add_write(int fd, uint64_t inode, int64_t offset, int64_t length, int64_t size) {
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

void add_size(int fd, uint64_t inode, int64_t size, int64_t size_before) {
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

void bury(const char *path) {
  open_journal();
  char grave[PATH_MAX + 32];
  snprintf(grave, sizeof grave, "%s/%lld", graves, (long long)journal_end);
  if (syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, grave, 0) != 0) fail(grave);
}

int below_root(int directory, const char *path, char *full) {
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

int there(const char *path, struct stat *stat) {
  return fstatat(AT_FDCWD, path, stat, AT_SYMLINK_NOFOLLOW) == 0;
}
