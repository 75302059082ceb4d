/*
 * What the parts of the disk layer share (disk-layer.c says what it is). Hidden from the process:
 * none of these names may take the place of one of its own.
 */
#ifndef DISK_LAYER_H
#define DISK_LAYER_H
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
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
  KIND_SYNC_RANGE = 13, /* [offset, offset + length) of this inode is durable as of `below` */
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
  int64_t below; /* the records before this place in the journal */
};
_Static_assert(sizeof(struct record) == 64, "power-off.ts reads 64 bytes");

#define MAGIC 0x4c4e524au

#pragma GCC visibility push(hidden)

/* Held over a record and the change that it is about. */
extern pthread_mutex_t disk_lock;
/* Place of the next record. */
extern int64_t journal_end;

void fail(const char *what);
int has_root(void);

/* ---- the journal; all of it under the lock ---- */

void open_journal(void);
/* Returns the record's sequence number. */
int64_t add(uint32_t kind, struct record record, const void *data, const char *path,
            const char *other_path);
void add_void(int64_t sequence);
/* What stands in [offset, offset + length) of a file of `size` bytes will be overwritten. */
void add_write(int fd, uint64_t inode, int64_t offset, int64_t length, int64_t size);
/* The file will have `size` bytes; what is cut off reads as zeros from then on. */
void add_size(int fd, uint64_t inode, int64_t size, int64_t size_before);
/* Keeps what stands at `path` alive under the sequence number that the next record will have. */
void bury(const char *path);

/* ---- paths ---- */

/* The absolute path, `.` and `..` resolved in the text; 1 when it lies below the root. */
int below_root(int directory, const char *path, char *full);
int there(const char *path, struct stat *stat);

#pragma GCC visibility pop
#endif
