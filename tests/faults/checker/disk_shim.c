/* Slow and full disks for a process that it is preloaded into (LD_PRELOAD).

   Stands before what writes to files, and looks into the file that PARLEY_FAULT_DISK names, which is mapped into memory:
   five 32-bit words, see tests/faults/checker/disks.py. Only files: sockets, pipes and terminals pass. What libc writes
   for itself (stdio) does not come by, nor does what is written to memory that was mapped before. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct control {
  _Atomic uint32_t write_delay_us, sync_delay_us, is_full, delayed, refused;
};

static struct control none;
static struct control *control = &none;

static ssize_t (*next_write)(int, const void *, size_t);
static ssize_t (*next_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*next_writev)(int, const struct iovec *, int);
static ssize_t (*next_pwritev)(int, const struct iovec *, int, off_t);
static ssize_t (*next_pwritev2)(int, const struct iovec *, int, off_t, int);
static int (*next_fsync)(int);
static int (*next_fdatasync)(int);
static int (*next_fallocate)(int, int, off_t, off_t);
static int (*next_posix_fallocate)(int, off_t, off_t);
static void *(*next_mmap)(void *, size_t, int, int, int, off_t);

static void look_up(void) {
  next_write = dlsym(RTLD_NEXT, "write");
  next_pwrite = dlsym(RTLD_NEXT, "pwrite");
  next_writev = dlsym(RTLD_NEXT, "writev");
  next_pwritev = dlsym(RTLD_NEXT, "pwritev");
  next_pwritev2 = dlsym(RTLD_NEXT, "pwritev2");
  next_fsync = dlsym(RTLD_NEXT, "fsync");
  next_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  next_fallocate = dlsym(RTLD_NEXT, "fallocate");
  next_posix_fallocate = dlsym(RTLD_NEXT, "posix_fallocate");
  next_mmap = dlsym(RTLD_NEXT, "mmap");
}

/* Other libraries may write before our turn comes. */
#define NEXT(name) (next_##name ? next_##name : (look_up(), next_##name))

__attribute__((constructor)) static void begin(void) {
  look_up();
  const char *path = getenv("PARLEY_FAULT_DISK");
  int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (fd < 0)
    return;
  void *mapped = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapped != MAP_FAILED)
    control = mapped;
  close(fd);
}

static void delay(uint32_t us) {
  if (us == 0)
    return;
  control->delayed++;
  int kept = errno;
  struct timespec left = {us / 1000000, (us % 1000000) * 1000L};
  while (nanosleep(&left, &left) && errno == EINTR)
    ;
  errno = kept;
}

static int is_file(int fd, struct stat *found) {
  int kept = errno;
  int is = fstat(fd, found) == 0 && S_ISREG(found->st_mode);
  errno = kept;
  return is;
}

/* Whether a write may go on; `at` is negative for the file's own position. */
static int may_write(int fd, off_t at, size_t length) {
  struct stat file;
  if ((!control->is_full && !control->write_delay_us) || !is_file(fd, &file))
    return 1;
  delay(control->write_delay_us);
  if (!control->is_full || length == 0)
    return 1;
  if (at < 0) {
    int flags = fcntl(fd, F_GETFL);
    at = flags >= 0 && (flags & O_APPEND) ? file.st_size : lseek(fd, 0, SEEK_CUR);
  }
  if (at >= 0 && at + (off_t)length <= file.st_size)
    return 1;
  control->refused++;
  errno = ENOSPC;
  return 0;
}

static void before_sync(int fd) {
  struct stat file;
  if (control->sync_delay_us && is_file(fd, &file))
    delay(control->sync_delay_us);
}

static size_t length_of(const struct iovec *parts, int count) {
  size_t length = 0;
  for (int n = 0; n < count; n++)
    length += parts[n].iov_len;
  return length;
}

ssize_t write(int fd, const void *data, size_t length) {
  return may_write(fd, -1, length) ? NEXT(write)(fd, data, length) : -1;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t at) {
  return may_write(fd, at, length) ? NEXT(pwrite)(fd, data, length, at) : -1;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  return may_write(fd, -1, length_of(parts, count)) ? NEXT(writev)(fd, parts, count) : -1;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
  return may_write(fd, at, length_of(parts, count)) ? NEXT(pwritev)(fd, parts, count, at) : -1;
}

ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t at, int flags) {
  return may_write(fd, at, length_of(parts, count)) ? NEXT(pwritev2)(fd, parts, count, at, flags) : -1;
}

int fsync(int fd) {
  before_sync(fd);
  return NEXT(fsync)(fd);
}

int fdatasync(int fd) {
  before_sync(fd);
  return NEXT(fdatasync)(fd);
}

int fallocate(int fd, int mode, off_t at, off_t length) {
  return may_write(fd, at, length) ? NEXT(fallocate)(fd, mode, at, length) : -1;
}

/* Returns the error, and leaves errno alone. */
int posix_fallocate(int fd, off_t at, off_t length) {
  int kept = errno;
  int may = may_write(fd, at, length);
  errno = kept;
  return may ? NEXT(posix_fallocate)(fd, at, length) : ENOSPC;
}

/* A file with holes asks for room page by page, and the first page that finds none is a SIGBUS: Apache Kafka ends when it
   fills an index as it starts. Let through, Kafka 4.1 takes its whole log for corrupt and empties it, which on a full ext4
   it does not: every topic was gone. So it is refused its file beforehand. */
void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t at) {
  struct stat file;
  if (control->is_full && fd >= 0 && (protection & PROT_WRITE) && (flags & MAP_SHARED) && is_file(fd, &file) &&
      file.st_blocks * 512 < file.st_size) {
    control->refused++;
    errno = ENOSPC;
    return MAP_FAILED;
  }
  return NEXT(mmap)(address, length, protection, flags, fd, at);
}

/* The same under the names that are for large files, which all are where off_t has 64 bits. */
_Static_assert(sizeof(off_t) == 8, "off_t has 64 bits");
ssize_t pwrite64(int fd, const void *data, size_t length, off_t at) __attribute__((alias("pwrite")));
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at) __attribute__((alias("pwritev")));
ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off_t at, int flags) __attribute__((alias("pwritev2")));
int fallocate64(int fd, int mode, off_t at, off_t length) __attribute__((alias("fallocate")));
void *mmap64(void *address, size_t length, int protection, int flags, int fd, off_t at) __attribute__((alias("mmap")));
int posix_fallocate64(int fd, off_t at, off_t length) __attribute__((alias("posix_fallocate")));
