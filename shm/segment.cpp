#include "shm/segment.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <boost/uuid/string_generator.hpp>
#include <boost/uuid/uuid.hpp>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>

#include "shm/failpoint.hpp"
#include "shm/lock_byte.hpp"
#include "shm/xxh3.hpp"

namespace shmetrics::shm {
namespace {

using std::to_string;

constexpr int kOpenAttempts = 16;  // each lost to another creator or remover
constexpr auto kReplaceWait = std::chrono::milliseconds(100);
constexpr char kNewSuffix[] = ".shmetrics-new-";
constexpr long kFuseMagic = 0x65735546;
constexpr long kCifsMagic = 0xff534d42L;
constexpr long kSmb2Magic = 0xfe534d42L;

struct stat status_of(int fd, const std::string& path) {
  struct stat status;
  if (fstat(fd, &status) != 0) throw from_errno(errno, "fstat " + path);
  return status;
}

long file_system_of(int fd, const std::string& path) {
  struct statfs file_system;
  if (fstatfs(fd, &file_system) != 0) throw from_errno(errno, "fstatfs " + path);
  return static_cast<long>(file_system.f_type);
}

bool is_tmpfs(long file_system) {
  return file_system == TMPFS_MAGIC || file_system == RAMFS_MAGIC;
}

// Locks of a network or user-space file system may not work as locks do here.
bool check_file_system(int fd, const std::string& path) {
  const long magic = file_system_of(fd, path);
  for (const long remote :
       {static_cast<long>(NFS_SUPER_MAGIC), kFuseMagic, kCifsMagic, kSmb2Magic, static_cast<long>(V9FS_MAGIC)}) {
    if (magic != remote) continue;
    throw Error(Fault::kRefused, path + " is on a network or FUSE file system: use tmpfs, such as /dev/shm");
  }
  return is_tmpfs(magic);
}

void check_owner(const struct stat& status, const std::string& path, const CreationOptions& options) {
  if (status.st_uid == geteuid() || status.st_uid == 0) return;
  if (options.group && status.st_gid == *options.group && (status.st_mode & S_IWGRP) != 0) return;
  throw Error(Fault::kRefused, path + " belongs to uid " + to_string(status.st_uid) + ", this process runs as uid " +
                                   to_string(geteuid()) + ": set " + kPathVariable + " to a file of your own");
}

std::string hex(std::uint64_t value) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%016llx", static_cast<unsigned long long>(value));
  return text;
}

std::uint64_t header_checksum(const Header& header) {
  constexpr std::size_t kFrom = offsetof(Header, file_bytes);
  return xxh3(reinterpret_cast<const char*>(&header) + kFrom, sizeof header - kFrom, 0);
}

// Nil without /proc.
boost::uuids::uuid this_boot() {
  char text[36];
  const Descriptor file(open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  if (!file || read(file.get(), text, sizeof text) != sizeof text) return {};
  return boost::uuids::string_generator()(std::begin(text), std::end(text));
}

// Without /proc the boots cannot be told apart; then the segment is taken to be of this boot.
bool of_this_boot(const Header& header) {
  const boost::uuids::uuid boot = this_boot();
  boost::uuids::uuid its{};
  std::copy(std::begin(header.boot_id), std::end(header.boot_id), its.begin());
  return boot.is_nil() || its.is_nil() || boot == its;
}

Header make_header(const Geometry& geometry) {
  Header header{};
  header.layout_version = kLayoutVersion;
  header.abi_fingerprint = kAbiFingerprint;
  header.file_bytes = geometry.file_bytes();
  header.directory_bytes = geometry.directory_bytes;
  header.workers = geometry.workers;
  header.thread_slots = geometry.thread_slots;
  header.cells = geometry.cells;
  header.created_unix_ns = unix_now_ns();
  const auto boot = this_boot();
  std::copy(boot.begin(), boot.end(), header.boot_id);
  if (getrandom(header.segment_id, sizeof header.segment_id, 0) != sizeof header.segment_id)
    throw from_errno(errno, "getrandom");
  header.checksum = header_checksum(header);
  return header;
}

void allocate(int fd, std::uint64_t offset, std::uint64_t bytes, const std::string& path) {
  // Never posix_fallocate(3): where the file system cannot, it writes zeros, and later calls would hit live cells.
  while (fallocate(fd, 0, static_cast<off_t>(offset), static_cast<off_t>(bytes)) != 0) {
    if (errno != EINTR) throw from_errno(errno, "no room for " + path + ", " + to_string(bytes) + " bytes");
  }
}

void check_file_limit(const std::string& path, std::uint64_t bytes) {
  // Beyond RLIMIT_FSIZE the kernel would not fail the call but kill the process, by SIGXFSZ.
  rlimit limit{};
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < bytes) {
    throw Error(Fault::kFull, path + " needs a file size of " + to_string(bytes) + " bytes, RLIMIT_FSIZE is " +
                                  to_string(limit.rlim_cur) + ": raise it (ulimit -f) or lower slots and cells");
  }
}

// Makes a complete segment without a name, so that a creator that is killed in here leaves nothing.
Descriptor build(const std::string& path, const CreationOptions& options) {
  const Geometry& geometry = options.geometry;
  if (!geometry.within_caps()) {
    throw Error(Fault::kInvalidArgument, "geometry out of range: workers 1.." + to_string(kMaxWorkers) + ", slots 1.." +
                                             to_string(kMaxThreadSlots) + ", cells a multiple of " +
                                             to_string(kGrowthCells) + " up to " + to_string(kMaxCells) +
                                             ", directory_bytes a multiple of 4096 up to " +
                                             to_string(kMaxDirectoryBytes));
  }
  check_file_limit(path, geometry.file_bytes());
  const std::string folder = std::filesystem::absolute(path).parent_path().string();
  Descriptor file = above_stderr(Descriptor(open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)));
  if (!file) throw from_errno(errno, "create a segment in " + folder);
  SHMETRICS_FAILPOINT(create_opened);
  check_file_system(file.get(), path);
  if (ftruncate(file.get(), static_cast<off_t>(geometry.file_bytes())) != 0)
    throw from_errno(errno, "ftruncate " + path);
  SHMETRICS_FAILPOINT(create_sized);
  allocate(file.get(), 0, geometry.directory() + kPageBytes, path);
  allocate(file.get(), geometry.spill_cells(), kGrowthCells * 8, path);
  SHMETRICS_FAILPOINT(create_allocated);
  {
    const auto fixed = map(file, boost::interprocess::read_write, 0, geometry.directory() + kPageBytes, path);
    auto* base = static_cast<std::byte*>(fixed.get_address());
    auto* slots = reinterpret_cast<SlotEntry*>(base + geometry.slot_table());
    slots[geometry.spill()].cells_allocated.store_relaxed(kGrowthCells);
    SHMETRICS_FAILPOINT(create_spill_said);
    reinterpret_cast<DirectoryHead*>(base + geometry.directory())->space.store_relaxed(geometry.heap());
    const Header header = make_header(geometry);
    std::memcpy(base, &header, sizeof header);
    SHMETRICS_FAILPOINT(create_header_written);
    reinterpret_cast<SharedWord*>(base + offsetof(Header, magic))->store_release(kMagic);
    SHMETRICS_FAILPOINT(create_magic_stored);
  }
  if (fchmod(file.get(), options.mode) != 0) throw from_errno(errno, "fchmod " + path);
  if (options.group && fchown(file.get(), static_cast<uid_t>(-1), *options.group) != 0) {
    throw from_errno(errno, "give " + path + " to group " + to_string(*options.group) +
                                " (the process must be root, or in that group)");
  }
  SHMETRICS_FAILPOINT(create_mode_set);
  return file;
}

// False: the name is taken. linkat, not rename: a rename would orphan the workers of a faster creator.
bool give_name(const Descriptor& file, const std::string& path) {
  const std::string self = "/proc/self/fd/" + to_string(file.get());
  if (linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0) return true;
  if (errno == EEXIST) return false;
  if (linkat(file.get(), "", AT_FDCWD, path.c_str(), AT_EMPTY_PATH) == 0) return true;  // a chroot without /proc
  if (errno == EEXIST) return false;
  throw from_errno(errno, "link " + path);
}

// What replacers left that were killed: only one at a time replaces the file at a path.
void remove_leftovers(const std::string& prefix) {
  // Not by std::filesystem: GCC 14 with -O1 and -fsanitize=undefined does not link its iterator.
  const std::string folder = prefix.substr(0, prefix.rfind('/') + 1);
  const std::unique_ptr<DIR, int (*)(DIR*)> opened(opendir(folder.c_str()), closedir);
  while (const dirent* const entry = opened ? readdir(opened.get()) : nullptr) {
    const std::string path = folder + entry->d_name;
    if (path.starts_with(prefix)) unlink(path.c_str());
  }
}

// Puts a new segment in the place of `old`. The lock on the old inode lets one process in at a time. The second process
// finds that the path names another file by then, and opens that one.
void replace(const Descriptor& old, const std::string& path, const CreationOptions& options) {
  if (!lock_until(old.get(), kCreationLock, std::chrono::steady_clock::now() + kReplaceWait)) {
    throw Error(Fault::kNotReady, path + " is being replaced by another process: try again");
  }
  SHMETRICS_FAILPOINT(replace_locked);
  if (file_id(path) != file_id(old.get())) return;
  const Descriptor next = build(path, options);
  SHMETRICS_FAILPOINT(replace_built);
  const std::string prefix = path + kNewSuffix;
  remove_leftovers(prefix);
  std::uint64_t random = 0;  // so that nobody can guess the name and take it first
  if (getrandom(&random, sizeof random, 0) != sizeof random) throw from_errno(errno, "getrandom");
  const std::string temporary = prefix + hex(random);
  if (!give_name(next, temporary)) throw Error(Fault::kIo, temporary + " is in the way: remove it");
  SHMETRICS_FAILPOINT(replace_linked);
  if (rename(temporary.c_str(), path.c_str()) != 0) throw from_errno(errno, "rename " + temporary);
  SHMETRICS_FAILPOINT(replace_renamed);
}

Header read_header(int fd, const std::string& path) {
  Header header{};  // constant since the file has a name: pread cannot tear what nobody writes
  const ssize_t got = pread(fd, &header, sizeof header, 0);
  if (got < 0) throw from_errno(errno, "read " + path);
  return header;
}

bool is_of_no_use(int fd, const struct stat& status, const Header& header) {
  if (status.st_size == 0) return true;
  // A file that was cut short is damaged, not old: its version and boot may be zeros.
  if (header.magic != kMagic || static_cast<std::uint64_t>(status.st_size) < sizeof(Header)) return false;
  const bool outlived =
      header.layout_version < kLayoutVersion || (header.layout_version == kLayoutVersion && !of_this_boot(header));
  return outlived && probe(fd, kClaimLocks, 2 * kMaxWorkers) == Held::kNo;
}

Descriptor open_file(const std::string& path, int access) {
  check_pages();
  Descriptor file = above_stderr(Descriptor(open(path.c_str(), access | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)));
  if (file && !S_ISREG(status_of(file.get(), path).st_mode)) {
    throw Error(Fault::kRefused, path + " is not a regular file: choose another path");
  }
  return file;
}

// Who may open it, as far as that can be seen without opening it, and what lets this process in.
std::string describe_refusal(const std::string& path) {
  const std::string process = ", this process runs as uid " + to_string(geteuid());
  struct stat status;
  if (lstat(path.c_str(), &status) != 0) {
    return "this user may not enter its folder" + process + "; let it enter the folder (chgrp, chmod g+x)";
  }
  char mode[8];
  std::snprintf(mode, sizeof mode, "0%03o", static_cast<unsigned>(status.st_mode & 0777));
  return "it belongs to uid " + to_string(status.st_uid) + ", mode " + mode + process +
         "; run as that user, give the file a group (chgrp and chmod; before it is made: SHMETRICS_MODE and "
         "SHMETRICS_GROUP)";
}

[[noreturn]] void throw_open_error(int error_number, const std::string& path) {
  switch (error_number) {
    case ENOENT:
      if (const std::string folder = path.substr(0, path.rfind('/') + 1);
          !folder.empty() && access(folder.c_str(), F_OK) != 0) {
        throw Error(Fault::kNotReady, "no segment at " + path + ": there is no folder " + folder +
                                          "; make it, for the application's user to write in");
      }
      throw Error(Fault::kNotReady, "no segment at " + path + " yet: it appears when a worker opens it");
    case EACCES:
    case EPERM:
      throw Error(Fault::kRefused, "no permission for " + path + ": " + describe_refusal(path) + ", or set " +
                                       kPathVariable + " to another file");
    case ELOOP:
      throw Error(Fault::kRefused, path + " is a symbolic link: name the file itself");
    case EISDIR:
      throw Error(Fault::kRefused, path + " is a directory: name a file in it");
    case ENXIO:
      throw Error(Fault::kRefused, path + " is not a regular file: choose another path");
    default:
      throw from_errno(error_number, "open " + path);
  }
}

}  // namespace

void check_pages() {
  if (const long page = sysconf(_SC_PAGESIZE); page != static_cast<long>(kPageBytes)) {
    throw Error(Fault::kIncompatible, "this machine has memory pages of " + to_string(page) +
                                          " bytes, segments need pages of 4096: use a kernel with those");
  }
}

Geometry check_header(const Header& header, std::uint64_t actual_file_bytes, const std::string& path) {
  constexpr char kRemedy[] = "; if no worker uses it, remove it";
  if (actual_file_bytes < sizeof(Header) || header.magic != kMagic) {
    const bool was_one = header.magic == kMagic;
    const std::string found =
        actual_file_bytes < sizeof(Header)
            ? to_string(actual_file_bytes) + " bytes, a segment has at least " + to_string(sizeof(Header))
            : "other first bytes";  // not shown: the file may be anybody's
    if (was_one) throw Error(Fault::kDamaged, path + " was truncated: it has " + found + kRemedy);
    throw Error(Fault::kIncompatible, path + " is not a segment: it has " + found + "; name another file");
  }
  if (header.layout_version != kLayoutVersion) {
    const char* remedy = header.layout_version < kLayoutVersion ? "stop the workers of the older one"
                                                                : "remove it once no worker uses it";
    throw Error(Fault::kIncompatible, path + " has layout version " + to_string(header.layout_version) +
                                          ", this program has version " + to_string(kLayoutVersion) +
                                          ": use programs of one release, or " + remedy + ", or open a fresh file");
  }
  if (header.abi_fingerprint != kAbiFingerprint) {
    throw Error(Fault::kIncompatible, path + " has ABI fingerprint " + hex(header.abi_fingerprint) +
                                          ", this program has " + hex(kAbiFingerprint) +
                                          ": use programs of one release on one kind of machine");
  }
  const Geometry geometry{header.workers, header.thread_slots, header.cells, header.directory_bytes};
  if (!geometry.within_caps() || geometry.file_bytes() != header.file_bytes) {
    throw Error(Fault::kIncompatible, path + " has a geometry (workers " + to_string(header.workers) + ", slots " +
                                          to_string(header.thread_slots) + ", cells " + to_string(header.cells) +
                                          ", directory " + to_string(header.directory_bytes) +
                                          " bytes) that does not add up to its " + to_string(header.file_bytes) +
                                          " bytes" + kRemedy);
  }
  if (header.checksum != header_checksum(header)) {
    throw Error(Fault::kDamaged, path + " has header checksum " + hex(header.checksum) + ", expected " +
                                     hex(header_checksum(header)) + kRemedy);
  }
  const auto is_set = [](std::uint8_t byte) { return byte != 0; };
  if (header.reserved0 != 0 || header.reserved1 != 0 ||
      std::any_of(std::begin(header.reserved2), std::end(header.reserved2), is_set)) {
    throw Error(Fault::kDamaged, path + " has a reserved word that is not 0" + kRemedy);
  }
  if (actual_file_bytes < header.file_bytes) {
    throw Error(Fault::kDamaged, path + " was truncated: it has " + to_string(actual_file_bytes) +
                                     " bytes, its header says " + to_string(header.file_bytes) + kRemedy);
  }
  return geometry;
}

OpenedSegment open_for_reading(const std::string& path) {
  if (Descriptor file = open_file(path, O_RDONLY)) return open_for_reading(std::move(file), path);
  throw_open_error(errno, path);
}

OpenedSegment open_for_reading(Descriptor file, const std::string& path) {
  check_pages();
  const struct stat status = status_of(file.get(), path);
  if (status.st_size == 0) throw Error(Fault::kNotReady, path + " is empty: no worker has opened it yet");
  const Header header = read_header(file.get(), path);
  const Geometry geometry = check_header(header, static_cast<std::uint64_t>(status.st_size), path);
  const bool on_tmpfs = is_tmpfs(file_system_of(file.get(), path));
  return {std::move(file), FileId{status.st_dev, status.st_ino}, header, geometry, on_tmpfs};
}

OpenedSegment open_or_create(const std::string& path, const CreationOptions& options, bool fresh) {
  for (int attempt = 0; attempt < kOpenAttempts; ++attempt) {
    Descriptor file = open_file(path, O_RDWR);
    if (!file) {
      if (errno != ENOENT) throw_open_error(errno, path);
      give_name(build(path, options), path);  // lost the race or won it: the name leads to a segment now
      SHMETRICS_FAILPOINT(create_linked);
      fresh = false;
      continue;
    }
    const struct stat status = status_of(file.get(), path);
    check_owner(status, path, options);
    const bool on_tmpfs = check_file_system(file.get(), path);
    const Header header = read_header(file.get(), path);
    if (fresh || is_of_no_use(file.get(), status, header)) {
      replace(file, path, options);
      fresh = false;
      continue;
    }
    const Geometry geometry = check_header(header, static_cast<std::uint64_t>(status.st_size), path);
    if (!of_this_boot(header))
      throw Error(Fault::kIncompatible, path + " is of another boot, and somebody holds its locks: remove it");
    return {std::move(file), FileId{status.st_dev, status.st_ino}, header, geometry, on_tmpfs};
  }
  throw Error(Fault::kNotReady, path + " is removed or replaced again and again: try later");
}

boost::interprocess::mapped_region map(const Descriptor& file, boost::interprocess::mode_t mode, std::uint64_t offset,
                                       std::uint64_t bytes, const std::string& path) {
  using namespace boost::interprocess;
  try {
    return mapped_region(file, mode, static_cast<offset_t>(offset), bytes);
  } catch (const interprocess_exception& error) {
    throw from_errno(error.get_native_error(), "map " + path + ", " + to_string(bytes) + " bytes of address space");
  }
}

}  // namespace shmetrics::shm
