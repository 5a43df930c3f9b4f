/* Appending to the directory, with a kill before every step, and a reader: tests/model/README.md.
 *
 * -DWORKERS that append one record each, -DKILLS. Refuted variants: -DOWN_CELL_WORD -DCOMMIT_FIRST -DNO_LOCK */
#define MOST 4

byte lock;                        /* holder + 1 */
byte committed;                   /* records */
byte written[MOST], cell[MOST];   /* a record's bytes: who wrote them, and its cell; 0 = none, or half */
byte next_cell;                   /* the variant's own word */
byte spill_allocated;
bool killed[WORKERS], gone[WORKERS];
byte kills;

/* DirectoryLock, find_or_append(), append() */
proctype Worker(byte me) {
  byte at, first;
  {
#ifndef NO_LOCK
    atomic { lock == 0 -> lock = me + 1 };
#endif
    at = committed;
#ifdef OWN_CELL_WORD
    first = next_cell;
#else
    first = (at == 0 -> 0 : cell[(at == 0 -> 0 : at - 1)]); /* the end of the last committed record */
#endif
    d_step { if :: spill_allocated < first + 1 -> spill_allocated = first + 1 :: else fi }; /* raise_to_release() */
#ifdef COMMIT_FIRST
    committed = at + 1;
#endif
    written[at] = 0; /* while the bytes of another are overwritten the record is neither */
    cell[at] = first + 1;
    written[at] = me + 1;
#ifndef COMMIT_FIRST
    committed = at + 1;
#endif
#ifdef OWN_CELL_WORD
    next_cell = first + 1;
#endif
    atomic {
      if :: lock == me + 1 -> lock = 0 :: else fi;
      gone[me] = true
    }
  } unless { killed[me] }
}

proctype Killer() {
  byte victim;
  do
  :: kills < KILLS ->
     victim = 0;
     do
     :: victim < WORKERS - 1 -> victim++
     :: break
     od;
     atomic {
       if
       :: !killed[victim] && !gone[victim] ->
          killed[victim] = true;
          kills++;
          if :: lock == victim + 1 -> lock = 0 :: else fi
       :: else -> break
       fi
     }
  :: break
  od
}

/* copy_directory(): what is committed is whole, has a home in the spill, and shares no cell. */
proctype Reader() {
  byte n, i, known_cell, known_writer;
  do
  :: n = committed;
     i = 0;
     do
     :: i < n ->
        assert(written[i] != 0);
        assert(cell[i] == i + 1); /* each has the cell behind the last one's */
        assert(cell[i] <= spill_allocated);
        i++
     :: else -> break
     od;
     if
     :: n > 0 && known_writer == 0 -> known_writer = written[0]
     :: n > 0 && known_writer != 0 -> assert(written[0] == known_writer) /* and never changes */
     :: else
     fi
  :: break
  od
}

init {
  byte i;
  atomic {
    do
    :: i < WORKERS -> run Worker(i); i++
    :: else -> break
    od;
    run Killer();
    run Reader()
  }
}
