// The bytes of a segment, layout version 1: structs, limits and the proof that the picture is true. No behaviour.
// Normative text, crash table and a worked example: docs/segment-format.md.
//
//   offset                 bytes                what                         who writes it
//   0                      4096                 Header                       its creator, before the file has a name
//   4096                   workers * 128        WorkerEntry ...              who holds the entry's claim byte
//   next page              (slots + 2) * 64     SlotEntry ...                the slot's owner
//   next page              directory_bytes      DirectoryHead, records ...   who holds the directory byte
//   next page              cells * 8            spill slot, thread cells     every process, by atomic add
//   next page              cells * 8            spill slot, process cells    who claims a worker entry
//   next page, per worker  cells * 8            process slot                 the threads of one process
//   next page, per slot    cells * 8            thread slot                  one thread
//   --- end of the file ---
//   kLockBase ...          no bytes             locks: see the end of this header
//
// What forces a new layout version: any change of an offset, a size or a meaning here, or of a memory order that the
// protocol needs. New record kinds, metric types and cell kinds do not: an old reader skips and counts them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shm/shared_word.hpp"

namespace shmetrics::shm {

inline constexpr std::uint64_t kMagic = 0x316765732e6d6873;  // "shm.seg1" in the file, on a little-endian machine
#if defined(SHMETRICS_TEST_LAYOUT_VERSION)                   // tests/skew alone
inline constexpr std::uint32_t kLayoutVersion = SHMETRICS_TEST_LAYOUT_VERSION;
#else
inline constexpr std::uint32_t kLayoutVersion = 1;
#endif
inline constexpr std::uint64_t kPageBytes = 4096;  // the file's grain; machines with larger pages are refused

// --- Limits: each has a reason; the relations between them are asserted below. ---
inline constexpr std::uint32_t kMaxWorkers = 1024;             // the kernel's cost of testing locks is quadratic beyond
inline constexpr std::uint32_t kMaxThreadSlots = 16384;        // a scrape visits them all
inline constexpr std::uint32_t kMaxCells = 16u << 20;          // 128 MiB a slot; numbers of cells fit 32 bits with room
inline constexpr std::uint64_t kMaxDirectoryBytes = 1u << 30;  // offsets of records are 32 bits wide
inline constexpr std::uint32_t kGrowthCells = 2048;            // a slot grows by 16 KiB: four faults, little waste
inline constexpr std::uint32_t kMaxNameBytes = 128;
inline constexpr std::uint32_t kMaxHelpBytes = 4096;
inline constexpr std::uint32_t kMaxUnitBytes = 64;
inline constexpr std::uint32_t kMaxLabelValueBytes = 1024;
inline constexpr std::uint32_t kMaxLabels = 16;
inline constexpr std::uint32_t kMaxBounds = 64;  // finite ones; +Inf comes on top
inline constexpr std::uint32_t kProgramBytes = 48;

// --- Header: constant from the moment the file has a name. ---
struct Header {
  std::uint64_t magic;            //   0  stored last, so a half-written header is never taken for a segment
  std::uint32_t layout_version;   //   8
  std::uint32_t reserved0;        //  12  zero
  std::uint64_t abi_fingerprint;  //  16  kAbiFingerprint of the creator: byte order and struct sizes
  std::uint64_t checksum;         //  24  XXH3 of bytes 32..4095
  std::uint64_t file_bytes;       //  32  what the geometry adds up to
  std::uint64_t directory_bytes;  //  40  multiple of 4096
  std::uint32_t workers;          //  48  worker entries and process slots, the spill's not counted
  std::uint32_t thread_slots;     //  52
  std::uint32_t cells;            //  56  of every slot; multiple of kGrowthCells
  std::uint32_t reserved1;        //  60  zero
  std::uint64_t created_unix_ns;  //  64
  std::uint8_t segment_id[16];    //  72  random
  std::uint8_t boot_id[16];       //  88  of its creator's boot; locks and stamps of another boot mean nothing
  std::uint8_t reserved2[3992];   // 104  zero
};
static_assert(sizeof(Header) == kPageBytes && alignof(Header) == 8);
static_assert(offsetof(Header, layout_version) == 8 && offsetof(Header, abi_fingerprint) == 16 &&
              offsetof(Header, checksum) == 24 && offsetof(Header, file_bytes) == 32 &&
              offsetof(Header, directory_bytes) == 40 && offsetof(Header, workers) == 48 &&
              offsetof(Header, thread_slots) == 52 && offsetof(Header, cells) == 56 &&
              offsetof(Header, created_unix_ns) == 64 && offsetof(Header, segment_id) == 72 &&
              offsetof(Header, boot_id) == 88 && offsetof(Header, reserved2) == 104);

// --- Worker entry: one a process. ---
// Every field but `released` is written between claiming the claim byte and the even epoch that ends the claim. A stale
// reader of pid, start or program sees the former owner's: they are labels for people.
struct WorkerEntry {
  SharedWord epoch;     //   0  0 = virgin, odd = being claimed, even = claimed; only grows. Release at the end of a
                        //      claim, pairs with the reader's acquire; a crash leaves it odd for the next claimer
  SharedWord released;  //   8  1 = the owner exited in order (release); a claimer that finds 0 counts a death
  SharedWord pid;       //  16  as its owner saw it
  SharedWord start_unix_ns;    //  24  when the entry was claimed
  SharedWord adoptions;        //  32  claims after the first
  SharedWord deaths;           //  40  owners that never released; a crash inside the claim can count one twice
  SharedWord cells_allocated;  //  48  of the process slot; CAS-max, release after the memory is there
  SharedWord reserved;         //  56  zero
  SharedWord program[6];       //  64  kProgramBytes bytes, NUL-padded
  SharedWord reserved2[2];     // 112  zero
};
static_assert(sizeof(WorkerEntry) == 128 && sizeof(WorkerEntry::program) == kProgramBytes);
static_assert(offsetof(WorkerEntry, released) == 8 && offsetof(WorkerEntry, pid) == 16 &&
              offsetof(WorkerEntry, start_unix_ns) == 24 && offsetof(WorkerEntry, adoptions) == 32 &&
              offsetof(WorkerEntry, deaths) == 40 && offsetof(WorkerEntry, cells_allocated) == 48 &&
              offsetof(WorkerEntry, program) == 64 && offsetof(WorkerEntry, reserved2) == 112);

// --- Slot entry: one a thread slot; then one for the spill's thread cells, one for its process cells. ---
struct SlotEntry {
  SharedWord owner;  //   0  0 = free, else (entry + 1) << 48 | epoch; CAS by claimers (acq_rel), 0 by its owner
                     //      (release)
  SharedWord cells_allocated;  //   8  owner only, in the spill CAS-max; release once the memory is there; never shrinks
  SharedWord reserved[6];      //  16  zero; keeps two owners off one cache line
};
static_assert(sizeof(SlotEntry) == 64 && offsetof(SlotEntry, cells_allocated) == 8);
inline constexpr std::uint32_t kOwnerEpochBits = 48;
static_assert(kMaxWorkers < (1u << 16));

// --- Cells: a slot begins with a line for its redo record and a line of tallies; series follow. ---
// Redo: written before the histogram's sequence becomes odd, read by adopter and reader only while it is odd.
// Tallies: used in the spill's thread cells alone, by atomic add; zero in every other slot.
// Of the spill's process cells only the values of min and max gauges are used, folded from dead workers: 0 = none, and
// +0.0 is stored as -0.0.
struct SlotPrefix {
  SharedWord redo_position;  //   0  cell of the sequence word | cell of the bucket << 32
  SharedWord redo_bucket;    //   8  the bucket's new value
  SharedWord redo_sum;       //  16  the new sum, bits of a double
  SharedWord reserved[5];    //  24  zero
  SharedWord tallies[8];     //  64  by Tally
};
inline constexpr std::uint32_t kPrefixCells = 16;
static_assert(sizeof(SlotPrefix) == kPrefixCells * 8 && offsetof(SlotPrefix, tallies) == 64);
static_assert(kPrefixCells < kGrowthCells && kMaxCells % kGrowthCells == 0 && kGrowthCells * 8 % kPageBytes == 0);

enum class Tally : std::uint32_t {  // numbers are on disk: never renumber
  kDroppedSeriesLimit = 0,          // gauge updates on a label set that found no place
  kDroppedNoEntry = 1,              // gauge updates of a process without a worker entry
  kRefusedNan = 2,
  kRefusedInfinite = 3,
  kRefusedNegative = 4,
};

// Offsets, in cells, inside a series. Counter: 1 cell, u64 or the bits of a double.
inline constexpr std::uint32_t kGaugeStamp = 0;  // 0 = never set; release after the value
inline constexpr std::uint32_t kGaugeValue = 1;  // bits of a double
inline constexpr std::uint32_t kGaugeCells = 2;
inline constexpr std::uint32_t kHistogramSequence = 0;  // odd = between two states; 0 in the spill
inline constexpr std::uint32_t kHistogramSum = 1;       // bits of a double
inline constexpr std::uint32_t kHistogramBuckets = 2;  // bounds + 1 cells, not cumulative; a summary has one: its count
inline constexpr std::uint32_t kSummaryCells = 3;

// --- Directory: an append-only log. Everything beyond `committed` is nobody's. ---
struct DirectoryHead {
  SharedWord committed;  //   0  end of the last record, counted from the directory's start; release after the record's
                         //      bytes, pairs with every parser's acquire; 0 = no record yet
  SharedWord reserved[7];  //   8  zero
};
static_assert(sizeof(DirectoryHead) == 64);

enum class RecordKind : std::uint32_t { kFamily = 1, kSeries = 2 };
enum class MetricType : std::uint32_t { kCounter = 1, kGauge = 2, kHistogram = 3, kSummary = 4, kInfo = 5 };
enum class CellKind : std::uint32_t { kUnsigned = 1, kDouble = 2 };  // of a counter; everything else is double
enum class GaugeMode : std::uint32_t {
  kLivesum = 0,
  kLivemin = 1,
  kLivemax = 2,
  kLiveall = 3,
  kLivemostrecent = 4,
  kSum = 5,
  kMin = 6,
  kMax = 7,
  kMostrecent = 8,
  kAll = 9,
};

// Records are 8-byte aligned and written by plain stores before `committed` covers them; they never change after.
struct RecordHead {
  std::uint32_t length;    //   0  of the whole record, multiple of 8
  std::uint32_t kind;      //   4  RecordKind
  std::uint64_t checksum;  //   8  XXH3 of the record from byte 16 on, seeded with length << 32 | kind
};
static_assert(sizeof(RecordHead) == 16);

// Followed by: bounds (8 bytes each), label name lengths (2 bytes each), name, help, unit, label names; zeros up to a
// multiple of 8.
struct FamilyRecord {
  RecordHead head;                //   0
  std::uint64_t created_unix_ns;  //  16
  std::uint32_t type;             //  24  MetricType
  std::uint32_t cell_kind;        //  28  CellKind
  std::uint32_t gauge_mode;       //  32  GaugeMode, 0 for other types
  std::uint32_t series_limit;     //  36  most series; later label sets share the overflow series
  std::uint32_t first_cell;       //  40  of the one series without labels, or of the overflow series; 0 for labelled
                                  //      gauges and info, which have none
  std::uint32_t overflow_tally;   //  44  thread cell that counts refused label sets; 0 without labels
  std::uint32_t supersedes;       //  48  offset of the family record that this one replaces; 0 = none
  std::uint16_t label_count;      //  52
  std::uint16_t bound_count;      //  54
  std::uint16_t name_bytes;       //  56
  std::uint16_t help_bytes;       //  58
  std::uint16_t unit_bytes;       //  60
  std::uint16_t reserved;         //  62  zero
};
static_assert(sizeof(FamilyRecord) == 64 && offsetof(FamilyRecord, created_unix_ns) == 16 &&
              offsetof(FamilyRecord, type) == 24 && offsetof(FamilyRecord, first_cell) == 40 &&
              offsetof(FamilyRecord, supersedes) == 48 && offsetof(FamilyRecord, label_count) == 52 &&
              offsetof(FamilyRecord, unit_bytes) == 60);

// Followed by: value lengths (2 bytes each, as many as the family has labels), values; zeros up to a multiple of 8.
struct SeriesRecord {
  RecordHead head;                //   0
  std::uint64_t created_unix_ns;  //  16
  std::uint32_t family;           //  24  offset of its family's record from the directory's start
  std::uint32_t first_cell;       //  28
};
static_assert(sizeof(SeriesRecord) == 32 && offsetof(SeriesRecord, family) == 24);

// --- Locks: OFD write locks on bytes that no file reaches; at the same place in every layout version. ---
inline constexpr std::uint64_t kLockBase = std::uint64_t{1} << 60;
inline constexpr std::uint64_t kDirectoryLock = kLockBase;     // held for an append
inline constexpr std::uint64_t kCreationLock = kLockBase + 1;  // held on an old file while it is replaced
inline constexpr std::uint64_t kClaimLocks = kLockBase + 64;   // entry e: claim byte at + 2e, live byte at + 2e + 1

inline constexpr std::uint64_t kAbiFingerprint =
    std::uint64_t{sizeof(WorkerEntry)} << 48 | std::uint64_t{sizeof(SlotEntry)} << 32 |
    std::uint64_t{sizeof(FamilyRecord)} << 16 | std::uint64_t{sizeof(SeriesRecord)} << 8 |
    std::uint64_t{0x5a};  // read with the other byte order it is another number

}  // namespace shmetrics::shm
