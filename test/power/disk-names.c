/* Names: what makes, moves and removes them, of the disk layer (disk-layer.c). */
#include "disk-layer.h"

int renameat2(int from_directory, const char *from, int to_directory, const char *to,
              unsigned int flags) {
  char full_from[PATH_MAX], full_to[PATH_MAX];
  int is_ours = below_root(from_directory, from, full_from);
  if (is_ours != below_root(to_directory, to, full_to)) fail("a rename across the root");
  if (!is_ours) return syscall(SYS_renameat2, from_directory, from, to_directory, to, flags);
  if (flags != 0) fail("renameat2 with flags is not modelled");
  pthread_mutex_lock(&disk_lock);
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
  pthread_mutex_unlock(&disk_lock);
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
  pthread_mutex_lock(&disk_lock);
  struct stat stat;
  int64_t sequence = -1;
  if (!there(full_to, &stat)) {
    sequence = add(KIND_LINK, (struct record){0}, NULL, full_from, full_to);
  }
  int result = syscall(SYS_linkat, AT_FDCWD, full_from, AT_FDCWD, full_to, flags);
  if (result != 0 && sequence >= 0) add_void(sequence);
  pthread_mutex_unlock(&disk_lock);
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
  pthread_mutex_lock(&disk_lock);
  struct stat stat;
  int64_t sequence = -1;
  if (!there(full, &stat)) sequence = add(KIND_MKDIR, (struct record){0}, NULL, full, NULL);
  int result = syscall(SYS_mkdirat, AT_FDCWD, full, mode);
  if (result != 0 && sequence >= 0) add_void(sequence);
  pthread_mutex_unlock(&disk_lock);
  return result;
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int unlinkat(int directory, const char *path, int flags) {
  char full[PATH_MAX];
  if (!below_root(directory, path, full)) return syscall(SYS_unlinkat, directory, path, flags);
  pthread_mutex_lock(&disk_lock);
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
  pthread_mutex_unlock(&disk_lock);
  return result;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }

int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int remove(const char *path) {
  int result = unlink(path);
  return result != 0 && (errno == EISDIR || errno == EPERM) ? rmdir(path) : result;
}
