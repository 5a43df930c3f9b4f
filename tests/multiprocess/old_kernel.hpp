// This kernel, made to look like one before Linux 5.14: madvise() refuses what came with it. The program is linked with
// --wrap=madvise and --wrap=fallocate, so that what the library calls comes here first.
#pragma once

namespace shmetrics::tests {

/// While it is false, MADV_POPULATE_READ and MADV_POPULATE_WRITE give EINVAL.
inline bool populate_is_known = true;
/// While it is true, both give EFAULT, as on a file system without room.
inline bool populate_finds_no_room = false;
/// What has grown by fallocate() so far; a segment's creation is not among it.
inline int growth_by_fallocate = 0;

}  // namespace shmetrics::tests
