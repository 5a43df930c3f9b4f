/* Appending to the directory without a lock, with a halt before every step, and a reader: tests/model/README.md.
 *
 * -DWRITERS, each of which wants one series; -DHALTS, each a kill or a stop for good; -DFAMILIES that they choose from.
 * Refuted variants: -DPUBLISH_FIRST -DSTALE_CELL -DSTALE_LIMIT -DSPILL_AFTER -DSPARE_IN_CHILD -DONE_ENTRY_OF_MEMORY
 *
 * Labels, families and the limit of series are chosen at the beginning, so one run covers all choices. The numbers
 * beside the steps are those of the protocol. Sequentially consistent, as claim.pml. */
#define NONE 255
#define FAMILY 1
#define SERIES 2
#define CELLS(k) (k == FAMILY -> 2 : 1)                /* a family has tallies */
#define LENGTH(k, l) (k == FAMILY -> 2 : 1 + 2 * (l % 2)) /* in units: a series is shorter or longer than a family */
#define INDEX (FAMILIES + WRITERS + 1)                 /* all records, and the end */
#define HEAP (5 * WRITERS)                             /* a family and a series each: no loss makes it more */
#define CHILD (WRITERS - 1)                            /* the last writer is a child that the first forks at any step */

byte entry[INDEX];                  /* 0, or the record's offset + 1 */
byte unit[HEAP];                    /* 0 = anything, or offset + 1 of the whole record that it is a part of */
byte kind[HEAP], name[HEAP], family[HEAP], label[HEAP], cells_end[HEAP]; /* at a record's offset */
byte space, cells_allocated;
byte index_memory = 1;              /* entries that have memory */
bool heap_memory[HEAP];

byte spare_at[WRITERS], spare_length[WRITERS];         /* the processes' own memory */
byte wanted_name[WRITERS], wanted_label[WRITERS], limit;
byte acknowledged[WRITERS];         /* entry + 1 of the series that it counts in */
bool refused[WRITERS], halted[WRITERS], done[WRITERS];
byte halts, left = WRITERS;
byte shown_entry[INDEX], shown_record[INDEX]; /* what the reader has copied */

#define RECORD(o) (kind[o] + 4 * label[o] + 16 * family[o] + 128 * name[o])

#ifdef STALE_LIMIT
#define IS_OVER_LIMIT (count >= limit && lost != SERIES)
#else
#define IS_OVER_LIMIT (count >= limit)
#endif
#if defined(STALE_CELL) || defined(STALE_LIMIT)
#define NOTE_LOSS lost = want
#else
#define NOTE_LOSS skip
#endif
#ifdef ONE_ENTRY_OF_MEMORY
#define MEMORY 1
#else
#define MEMORY 2
#endif

/* A record is whole, is in memory, and has the cells behind those of the record before it, with a home in the spill. */
inline look_at(number) {
  at = entry[number] - 1;
  assert(unit[at] == at + 1);
  i = at;
  do
  :: i < at + LENGTH(kind[at], label[at]) -> assert(unit[i] == at + 1 && heap_memory[i]); i++
  :: else -> break
  od;
  assert(i <= space);
  assert(cells_end[at] == ends + CELLS(kind[at]));
  assert(cells_end[at] <= cells_allocated);
  ends = cells_end[at];
  i = 0
}

inline forget_spare() {
  spare_at[me] = 0; spare_length[me] = 0
}

inline forget_all() {
  n = 0; ends = 0; count = 0; want = 0; s = 0; at = 0; i = 0; own = NONE; mine = NONE;
  forget_spare()
}

/* refresh(): one entry */
inline step_mirror() {
  look_at(n);
  if
  :: kind[at] == FAMILY && name[at] == wanted_name[me] -> assert(own == NONE); own = n
  :: kind[at] == SERIES && family[at] == own ->
     assert(own != NONE);
     count++;
     if :: label[at] == wanted_label[me] -> assert(mine == NONE); mine = n :: else fi
  :: else
  fi;
  n++;
  at = 0
}

/* take_room(): the spare, else memory and then the swap of `space` */
inline take_room() {
  do
  :: atomic { spare_length[me] >= LENGTH(want, wanted_label[me]) -> break }
  :: atomic { spare_length[me] < LENGTH(want, wanted_label[me]) -> s = space };
     d_step { /* populate */
       i = LENGTH(want, wanted_label[me]);
       assert(s + i <= HEAP);
       do
       :: i > 0 -> i--; heap_memory[s + i] = true
       :: else -> break
       od
     };
     atomic {
       if
       :: space == s ->
          space = s + LENGTH(want, wanted_label[me]);
          spare_at[me] = s; spare_length[me] = LENGTH(want, wanted_label[me]);
          s = 0;
          break
       :: else -> s = 0
       fi
     }
  od
}

inline grow_spill() {
  d_step {
    if
    :: cells_allocated < ends + CELLS(want) -> cells_allocated = ends + CELLS(want)
    :: else
    fi
  }
}

inline write_record() {
  d_step { /* half of it */
    at = spare_at[me];
    assert(heap_memory[at]);
    i = 0;
    do
    :: i < LENGTH(want, wanted_label[me]) -> unit[at + i] = 0; i++
    :: else -> break
    od;
    kind[at] = want;
    i = 0; at = 0
  };
  d_step {
    at = spare_at[me];
    if
    :: want == FAMILY -> name[at] = wanted_name[me]; family[at] = 0; label[at] = 0
    :: else -> name[at] = 0; family[at] = own; label[at] = wanted_label[me]
    fi;
#ifdef STALE_CELL
    if :: lost != want -> first = ends :: else fi;
    cells_end[at] = first + CELLS(want);
#else
    cells_end[at] = ends + CELLS(want);
#endif
    i = 0;
    do
    :: i < LENGTH(want, wanted_label[me]) -> unit[at + i] = at + 1; i++
    :: else -> break
    od;
    i = 0; at = 0
  }
}

proctype Writer(byte me) {
  byte n, ends, count, want, s, at, i;
  byte own = NONE, mine = NONE;
#if defined(STALE_CELL) || defined(STALE_LIMIT)
  byte lost, first;
#endif
  {
    /* forget_process(): a child has no spare, so it is a writer as any other */
#ifdef SPARE_IN_CHILD
    if
    :: me == CHILD -> d_step { spare_at[me] = spare_at[0]; spare_length[me] = spare_length[0] }
    :: else
    fi;
#endif
    do
    :: do                                                             /* 1, and 7: it finds its own */
       :: d_step { entry[n] != 0 -> step_mirror() }
       :: atomic { entry[n] == 0 -> assert(n < index_memory); break }
       od;
       atomic {
         if
         :: mine != NONE -> acknowledged[me] = mine + 1; break         /* 2 */
         :: mine == NONE && IS_OVER_LIMIT -> refused[me] = true; break /* 3 */
         :: else -> want = (own == NONE -> FAMILY : SERIES)
         fi
       };
       d_step { if :: index_memory < n + MEMORY -> index_memory = n + MEMORY :: else fi }; /* 4 */
#ifndef SPILL_AFTER
       grow_spill();
#endif
       take_room();
#ifndef PUBLISH_FIRST
       write_record();                                                 /* 5 */
#endif
       if                                                              /* 6 */
#if defined(PUBLISH_FIRST) || defined(SPILL_AFTER)
       :: atomic { entry[n] == 0 -> entry[n] = spare_at[me] + 1 };
#ifdef PUBLISH_FIRST
          write_record();
#else
          grow_spill();
#endif
          d_step { forget_spare(); want = 0 }
#else
       :: d_step { entry[n] == 0 -> entry[n] = spare_at[me] + 1; forget_spare(); want = 0 }
#endif
       :: d_step { entry[n] != 0 -> NOTE_LOSS; want = 0 } /* the room is the spare now */
       fi
    od;
    atomic { done[me] = true; left--; forget_all() }
  } unless {
    halted[me] -> d_step { left--; forget_all() } /* what it had in mind went with it: equal states look equal */
  }
}

proctype Halter() {
  byte victim;
end:
  do
  :: atomic {
       halts < HALTS ->
       do
       :: victim < WRITERS - 1 -> victim++
       :: break
       od;
       if
       :: !halted[victim] && !done[victim] -> halted[victim] = true; halts++
       :: else
       fi;
       victim = 0
     }
  od
}

/* copy_directory(): the words of the index, and each record after its word was seen */
proctype Reader() {
  byte top, known, ends, at, i;
end:
  do
  :: d_step { top < INDEX && entry[top] != 0 -> shown_entry[top] = entry[top]; top++ }
  :: d_step {
       known < top ->
       look_at(known);
       shown_record[known] = RECORD(at);
       known++;
       at = 0
     }
  od
}

/* When nobody is left. */
proctype Auditor() {
  byte n, ends, at, i, j, count;
  d_step {
    left == 0 ->
    do
    :: n < INDEX && entry[n] != 0 ->
       look_at(n);
       assert(shown_entry[n] == 0 || shown_entry[n] == entry[n]); /* what was shown stays */
       assert(shown_record[n] == 0 || shown_record[n] == RECORD(at));
       j = 0;
       count = 1;
       do
       :: j < n -> /* records exist once */
          i = entry[j] - 1;
          assert(RECORD(i) != RECORD(at));
          if :: kind[at] == SERIES && kind[i] == SERIES && family[i] == family[at] -> count++ :: else fi;
          j++
       :: else -> break
       od;
       if
       :: kind[at] == SERIES ->
          assert(family[at] < n && kind[entry[family[at]] - 1] == FAMILY);
          assert(count <= limit)
       :: else
       fi;
       n++
    :: else -> break
    od;
    assert(n < index_memory);
    i = n;
    do
    :: i < INDEX -> assert(entry[i] == 0); i++ /* nothing behind the first empty one */
    :: else -> break
    od;
    i = 0;
    do
    :: i < space -> assert(heap_memory[i]); i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < WRITERS ->
       assert(halted[i] || acknowledged[i] != 0 || refused[i]); /* who was not halted came to an end */
       if
       :: acknowledged[i] != 0 ->
          at = entry[acknowledged[i] - 1] - 1;
          assert(kind[at] == SERIES && label[at] == wanted_label[i]);
          assert(name[entry[family[at]] - 1] == wanted_name[i])
       :: refused[i] -> /* then its family has as many as it may have: the limit is exact */
          count = 0;
          j = 0;
          do
          :: j < n ->
             at = entry[j] - 1;
             if
             :: kind[at] == SERIES ->
                if :: name[entry[family[at]] - 1] == wanted_name[i] -> count++ :: else fi;
             :: else
             fi;
             j++
          :: else -> break
          od;
          assert(count == limit)
       :: else
       fi;
       i++
    :: else -> break
    od
  }
}

init {
  byte i;
  atomic {
    do
    :: i < WRITERS ->
       if
       :: i > 0 -> wanted_label[i] = wanted_label[i - 1] /* that of the writer before, or another */
       :: i > 0 -> wanted_label[i] = wanted_label[i - 1] + 1
       :: i == 0
       fi;
#if FAMILIES > 1
       if :: i > 0 -> wanted_name[i] = 1 :: true fi;
#endif
       run Writer(i);
       i++
    :: else -> break
    od;
    limit = 1;
    do
    :: limit <= wanted_label[WRITERS - 1] -> limit++ /* up to the number of labels: a higher one is never reached */
    :: break
    od;
#if HALTS > 0
    run Halter();
#endif
#ifndef NO_READER
    run Reader();
#endif
    run Auditor()
  }
}
