// The bytes of a segment, layout version 2: structs, limits and the proof that the picture is true. No behaviour.
// Normative text, crash table and a worked example: docs/segment-format.md.
//
//   offset                 bytes                what                         who writes it
//   0                      4096                 Header                       its creator, before the file has a name
//   4096                   workers * 128        WorkerEntry ...              the process with the entry's claim byte
//   next page              (slots + 2) * 64     SlotEntry ...                the slot's owner
//   next page              directory_bytes / 8  DirectoryHead, index ...     every process, by compare-and-swap
//   then                   7/8 directory_bytes  heap: records ...            the process that took the room
//   next page              cells * 8            spill slot, thread cells     every process, by atomic add
//   next page              cells * 8            spill slot, process cells    claimers of worker entries
//   next page, per worker  cells * 8            process slot                 the threads of one process
//   next page, per slot    cells * 8            thread slot                  one thread
//   --- end of the file ---
//   kLockBase ...          no bytes             locks: see the end of this header
//
// What forces a new layout version: any change of an offset, a size or a meaning here, or of a memory order that the
// protocol needs. New record kinds, metric types, cell kinds, gauge modes and family flags do not: every record says
// where its cells end, so older readers and writers step over unknown records.
//
// Threads: any, and other processes: behind each field stands who writes it, and when. Failure: none. Lifetime: that of
// the mapping.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "shm/shared_word.hpp"

namespace shmetrics::shm {

inline constexpr std::uint64_t kMagic = 0x316765732e6d6873;  // "shm.seg1" in the file, on a little-endian machine
#if defined(SHMETRICS_TEST_LAYOUT_VERSION)                   // tests/skew alone
inline constexpr std::uint32_t kLayoutVersion = SHMETRICS_TEST_LAYOUT_VERSION;
#else
inline constexpr std::uint32_t kLayoutVersion = 2;
#endif
inline constexpr std::uint64_t kPageBytes = 4096;  // the file's grain; the client refuses machines with larger pages

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
inline constexpr std::uint32_t kMaxBounds = 64;         // finite ones; +Inf comes on top
inline constexpr std::uint32_t kMaxSeriesCells = 1024;  // of a native histogram: a reader copies a series at a time
inline constexpr std::uint32_t kProgramBytes = 48;
inline constexpr std::uint32_t kMaxRecordBytes = 32768;  // of any record, also of kinds that are not known yet
inline constexpr std::uint32_t kMaxGenerations = 16;     // schemas of one name: a bug that makes up labels ends here

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
static_assert(offsetof(Header, magic) == 0 && offsetof(Header, layout_version) == 8 &&
              offsetof(Header, reserved0) == 12 && offsetof(Header, abi_fingerprint) == 16 &&
              offsetof(Header, checksum) == 24 && offsetof(Header, file_bytes) == 32 &&
              offsetof(Header, directory_bytes) == 40 && offsetof(Header, workers) == 48 &&
              offsetof(Header, thread_slots) == 52 && offsetof(Header, cells) == 56 &&
              offsetof(Header, reserved1) == 60 && offsetof(Header, created_unix_ns) == 64 &&
              offsetof(Header, segment_id) == 72 && offsetof(Header, boot_id) == 88 &&
              offsetof(Header, reserved2) == 104);
// No padding. Structs of shared words have none either: their fields are words and arrays of words.
static_assert(std::has_unique_object_representations_v<Header>);

// --- Worker entry: one a process. ---
// Every field but `released` is written between claiming the claim byte and the even epoch that ends the claim. A stale
// reader of pid, start or program sees the former owner's: they are labels for people.
struct WorkerEntry {
  SharedWord epoch;     //   0  0 = virgin, odd = being claimed, even = claimed; only grows. Release at the end of a
                        //      claim, pairs with the reader's acquire; a crash leaves it odd for the next claimer
  SharedWord released;  //   8  1 = the owner ended in order; 0 again if it went on. A claimer of 0 counts a death
  SharedWord pid;       //  16  as its owner saw it
  SharedWord start_unix_ns;    //  24  when the entry was claimed
  SharedWord adoptions;        //  32  claims after an owner that had updated something
  SharedWord deaths;           //  40  such owners that never released; a crash inside the claim can count one twice
  SharedWord cells_allocated;  //  48  of the process slot; CAS-max, release after the memory is there
  SharedWord counted;       //  56  1 = the owner has updated something (relaxed); 0: it is no worker yet, and its end
                            //      is no death
  SharedWord program[6];    //  64  kProgramBytes bytes, NUL-padded
  SharedWord reserved2[2];  // 112  zero
};
static_assert(sizeof(WorkerEntry) == 128 && sizeof(WorkerEntry::program) == kProgramBytes);
static_assert(offsetof(WorkerEntry, epoch) == 0 && offsetof(WorkerEntry, released) == 8 &&
              offsetof(WorkerEntry, pid) == 16 && offsetof(WorkerEntry, start_unix_ns) == 24 &&
              offsetof(WorkerEntry, adoptions) == 32 && offsetof(WorkerEntry, deaths) == 40 &&
              offsetof(WorkerEntry, cells_allocated) == 48 && offsetof(WorkerEntry, counted) == 56 &&
              offsetof(WorkerEntry, program) == 64 && offsetof(WorkerEntry, reserved2) == 112);

// --- Slot entry: one a thread slot; then one for the spill's thread cells, one for its process cells. ---
struct SlotEntry {
  SharedWord owner;  //   0  0 = free, else (entry + 1) << 48 | epoch; CAS by claimers (acq_rel), 0 by its owner
                     //      (release)
  SharedWord cells_allocated;  //   8  owner only, in the spill CAS-max; release once the memory is there; never shrinks
  SharedWord reserved[6];      //  16  zero; keeps two owners off one cache line
};
static_assert(sizeof(SlotEntry) == 64 && offsetof(SlotEntry, owner) == 0 && offsetof(SlotEntry, cells_allocated) == 8 &&
              offsetof(SlotEntry, reserved) == 16);
inline constexpr std::uint32_t kOwnerEpochBits = 48;
inline constexpr std::uint64_t kMostEpoch = (std::uint64_t{1} << kOwnerEpochBits) - 1;
static_assert(kMaxWorkers < (1u << 16));

// --- Cells: a slot begins with a line for its redo record and seven of tallies; series follow. ---
// Redo: written before the histogram's sequence becomes odd, read by adopter and reader only while it is odd.
// Tallies: used in the spill's thread cells alone, by atomic add; zero in every other slot.
// Of the spill's process cells only the values of gauges are used: of min and max folded from dead workers, of shared
// the one value of all processes. 0 = none, and +0.0 is stored as -0.0.
inline constexpr std::uint32_t kTallies = 56;
struct SlotPrefix {
  SharedWord redo_position;      //   0  cell of the sequence word | cell of the bucket << 32
  SharedWord redo_bucket;        //   8  the bucket's new value
  SharedWord redo_sum;           //  16  the new sum, bits of a double
  SharedWord reserved[5];        //  24  zero
  SharedWord tallies[kTallies];  //  64  by Tally
};
inline constexpr std::uint32_t kPrefixCells = 64;
static_assert(sizeof(SlotPrefix) == kPrefixCells * 8 && offsetof(SlotPrefix, redo_position) == 0 &&
              offsetof(SlotPrefix, redo_bucket) == 8 && offsetof(SlotPrefix, redo_sum) == 16 &&
              offsetof(SlotPrefix, reserved) == 24 && offsetof(SlotPrefix, tallies) == 64);
static_assert(kPrefixCells < kGrowthCells && kMaxCells % kGrowthCells == 0 && kGrowthCells * 8 % kPageBytes == 0);

enum class Tally : std::uint32_t {  // numbers are on disk: never renumber
  // Updates that are dropped.
  kDroppedSeriesLimit = 0,    // of a gauge's label set over a limit or invalid, or of any with a wrong number of values
  kDroppedNoEntry = 1,        // of a gauge in a process without a worker entry
  kDroppedRefusedFamily = 2,  // of a family whose declaration was refused
  kDroppedNoMemory = 3,       // of a family or series that could not be registered for lack of memory
  kDroppedBusy = 4,           // of one that could not be registered because this process was busy registering
  kRefusedNan = 5,
  kRefusedInfinite = 6,
  kRefusedNegative = 7,
  // Declarations that were refused.
  kDeclarationRule = 8,           // a name, label or bound against the rules, or a name that another family produces
  kDeclarationOtherType = 9,      // another type than live workers have it as
  kDeclarationSchemas = 10,       // one schema more than kMaxGenerations
  kDeclarationSameProcess = 11,   // this process has it with another schema
  kDeclarationNewerRelease = 12,  // the name is a newer release's, written in a way that this one does not know
  kDeclarationDirectory = 13,     // entries, bytes or cells are used up, or the directory is damaged
  kDeclarationNoMemory = 14,
  kDeclarationBusy = 15,
  // Exemplars that are dropped; their updates count.
  kExemplarNotDeclared = 16,  // of a family that has no room for them, because nobody asked for it
  kExemplarInvalid = 17,      // a name that is no label's, or is there twice, or a value that is not UTF-8
  kExemplarTooLong = 18,      // labels of more bytes than an exemplar has room for
  kExemplarNoSlot = 19,       // of a thread without a slot: the spill has many writers
};
inline constexpr std::uint32_t kUsedTallies = 20;
static_assert(static_cast<std::uint32_t>(Tally::kExemplarNoSlot) + 1 == kUsedTallies && kUsedTallies <= kTallies);

// Why label sets share their family's overflow series: a labelled family has a thread cell for each, in this order.
enum class Overflow : std::uint32_t {  // numbers are on disk: never renumber
  kSeriesLimit = 0,
  kCells = 1,
  kDirectory = 2,     // its entries or bytes are used up, or it is damaged
  kInvalidValue = 3,  // too long, not UTF-8, of the wrong number, or the overflow series' own
  kNoMemory = 4,
  kBusy = 5,
};
inline constexpr std::uint32_t kOverflowReasons = 6;

// Offsets, in cells, inside a series. Counter: 1 cell, u64 or the bits of a double.
inline constexpr std::uint32_t kGaugeStamp = 0;  // 0 = never set; release after the value
inline constexpr std::uint32_t kGaugeValue = 1;  // bits of a double
inline constexpr std::uint32_t kGaugeCells = 2;
inline constexpr std::uint32_t kHistogramSequence = 0;  // odd = between two states; 0 in the spill
inline constexpr std::uint32_t kHistogramSum = 1;       // bits of a double
inline constexpr std::uint32_t kHistogramBuckets = 2;  // bounds + 1 cells, not cumulative; a summary has one: its count
inline constexpr std::uint32_t kSummaryCells = 3;

// Offsets, in cells, inside an exemplar. Those of a series follow its own cells, if its family has kFamilyExemplars:
// one of a counter, one a bucket of a histogram, one an octave of a native one. The slot's owner writes them; in the
// spill they stay 0.
inline constexpr std::uint32_t kExemplarSequence = 0;   // 0 = never written, odd = between two exemplars
inline constexpr std::uint32_t kExemplarTime = 1;       // nanoseconds since 1970
inline constexpr std::uint32_t kExemplarValue = 2;      // bits of a double: what was observed, or added
inline constexpr std::uint32_t kExemplarTextBytes = 3;  // of its labels
inline constexpr std::uint32_t kExemplarText = 4;       // name, NUL, value, NUL of each label; then anything
inline constexpr std::uint32_t kExemplarCells = 16;     // two cache lines: room for a trace id and a span id
inline constexpr std::uint32_t kMaxExemplarText = (kExemplarCells - kExemplarText) * 8;
// OpenMetrics allows 128 characters in names and values: what fits here never has more.
static_assert(kMaxExemplarText <= 128);

// --- Directory: an index of entries, and a heap of records that they name. ---
// Entry n, 8 bytes, is 0 or offset | length << 32 of record n, counted from the directory's start. It changes once, by
// a compare-and-swap (release; pairs with the acquire of every process that steps over it). Entries fill the index from
// its beginning: the first that is 0 is the end of the log. Other bytes of the heap have no meaning.
struct DirectoryHead {
  SharedWord space;  //   0  end of what was given out of the heap; directory_bytes / 8 at creation, only grows. A crash
                     //      behind it leaves room that no entry names
  SharedWord reserved[7];  //   8  zero
};
static_assert(sizeof(DirectoryHead) == 64 && offsetof(DirectoryHead, space) == 0 &&
              offsetof(DirectoryHead, reserved) == 8);
inline constexpr std::uint64_t kIndexShare = 8;  // one byte in 8 is index: records average 64 bytes

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
  kShared = 10,
};

// How a claim of a worker entry treats the process cells of a family's series: [stamp, value] pairs.
enum class ClaimAction : std::uint32_t { kZero = 0, kLeave = 1, kFoldMin = 2, kFoldMax = 3 };

// Flags of a family.
inline constexpr std::uint32_t kFamilyNative = 1;     // a histogram; its bounds are {schema, low border, high border}
inline constexpr std::uint32_t kFamilyExemplars = 2;  // of a counter or histogram: each series has exemplars
inline constexpr std::uint32_t kKnownFamilyFlags = kFamilyNative | kFamilyExemplars;

// Records are 8-byte aligned, and written by plain stores before an entry names them; they never change after. The
// cells of a record begin where those of the record before it end, in either space.
struct RecordHead {
  std::uint32_t length;       //   0  of the whole record, multiple of 8
  std::uint32_t kind;         //   4  RecordKind
  std::uint64_t checksum;     //   8  XXH3 of the record from byte 16 on, seeded with length << 32 | kind
  std::uint32_t thread_end;   //  16  the next free thread cell behind this record
  std::uint32_t process_end;  //  20  the next free process cell
};
static_assert(sizeof(RecordHead) == 24 && offsetof(RecordHead, length) == 0 && offsetof(RecordHead, kind) == 4 &&
              offsetof(RecordHead, checksum) == 8 && offsetof(RecordHead, thread_end) == 16 &&
              offsetof(RecordHead, process_end) == 20 && std::has_unique_object_representations_v<RecordHead>);

// Followed by: bounds (8 bytes each), label name lengths (2 bytes each), name, help, unit, label names; zeros up to a
// multiple of 8.
struct FamilyRecord {
  RecordHead head;                //   0
  std::uint64_t created_unix_ns;  //  24
  std::uint32_t type;             //  32  MetricType
  std::uint32_t cell_kind;        //  36  CellKind
  std::uint32_t gauge_mode;       //  40  GaugeMode, 0 for other types
  std::uint32_t series_limit;     //  44  most series; later label sets share the overflow series
  std::uint32_t first_cell;       //  48  of the one series without labels, or of the overflow series; 0 for labelled
                                  //      gauges and info, which have none
  std::uint32_t overflow_tally;   //  52  first of kOverflowReasons thread cells, by Overflow; 0 without labels
  std::uint32_t flags;         //  56  kFamilyNative, kFamilyExemplars; one that is not known makes the family unknown
  std::uint16_t label_count;   //  60
  std::uint16_t bound_count;   //  62
  std::uint16_t name_bytes;    //  64
  std::uint16_t help_bytes;    //  66
  std::uint16_t unit_bytes;    //  68
  std::uint16_t claim_action;  //  70  ClaimAction; one that is not known is kZero
};
static_assert(sizeof(FamilyRecord) == 72 && std::has_unique_object_representations_v<FamilyRecord>);
static_assert(offsetof(FamilyRecord, head) == 0 && offsetof(FamilyRecord, created_unix_ns) == 24 &&
              offsetof(FamilyRecord, type) == 32 && offsetof(FamilyRecord, cell_kind) == 36 &&
              offsetof(FamilyRecord, gauge_mode) == 40 && offsetof(FamilyRecord, series_limit) == 44 &&
              offsetof(FamilyRecord, first_cell) == 48 && offsetof(FamilyRecord, overflow_tally) == 52 &&
              offsetof(FamilyRecord, flags) == 56 && offsetof(FamilyRecord, label_count) == 60 &&
              offsetof(FamilyRecord, bound_count) == 62 && offsetof(FamilyRecord, name_bytes) == 64 &&
              offsetof(FamilyRecord, help_bytes) == 66 && offsetof(FamilyRecord, unit_bytes) == 68 &&
              offsetof(FamilyRecord, claim_action) == 70);

// Followed by: value lengths (2 bytes each, as many as the family has labels), values; zeros up to a multiple of 8.
struct SeriesRecord {
  RecordHead head;                //   0
  std::uint64_t created_unix_ns;  //  24
  std::uint32_t family;           //  32  number of its family's entry, which is the family's identity
  std::uint32_t first_cell;       //  36
};
static_assert(sizeof(SeriesRecord) == 40 && std::has_unique_object_representations_v<SeriesRecord>);
static_assert(offsetof(SeriesRecord, head) == 0 && offsetof(SeriesRecord, created_unix_ns) == 24 &&
              offsetof(SeriesRecord, family) == 32 && offsetof(SeriesRecord, first_cell) == 36);

// --- Locks: OFD write locks on bytes that no file reaches; at the same place in every layout version. ---
inline constexpr std::uint64_t kLockBase = std::uint64_t{1} << 60;
// kLockBase itself is reserved: layout 1 held it for an append.
inline constexpr std::uint64_t kCreationLock = kLockBase + 1;  // held on an old file while it is replaced
inline constexpr std::uint64_t kClaimLocks = kLockBase + 64;   // entry e: claim byte at + 2e, live byte at + 2e + 1

inline constexpr std::uint64_t kAbiFingerprint =
    std::uint64_t{sizeof(WorkerEntry)} << 48 | std::uint64_t{sizeof(SlotEntry)} << 32 |
    std::uint64_t{sizeof(FamilyRecord)} << 16 | std::uint64_t{sizeof(SeriesRecord)} << 8 |
    std::uint64_t{0x5a};  // read with the other byte order it is another number

}  // namespace shmetrics::shm
