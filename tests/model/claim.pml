/* Entries, thread slots, redo records and a gauge, with a kill before every step: the protocol of docs/segment-format.md
 * as a model for Spin. What stands for which code, and which runs there are: tests/model/README.md, model_test.py.
 *
 * -DWORKERS lives of processes, -DENTRIES, -DSLOTS, -DOBSERVATIONS a life, -DKILLS, -DSCRAPES of the reader.
 * Refuted variants: -DONE_LOCK_BYTE -DCLAIMER_COMPLETES_REDO -DOVERLAY_AFTER_BOUND
 *
 * -DGAUGES: entries and their gauge; else entries, slots and their cells, of one histogram with -DBUCKETS buckets.
 *
 * Sequentially consistent: what fences are for, x86-64 and Spin do not show. */
#ifndef OBSERVATIONS
#define OBSERVATIONS 1
#endif
#ifndef SCRAPES
#define SCRAPES 1
#endif
#ifndef BUCKETS
#define BUCKETS 1
#endif

byte claim_byte[ENTRIES], live_byte_[ENTRIES]; /* who holds it: number of the life + 1 */
byte epoch[ENTRIES], gauge[ENTRIES];           /* the gauge says who has set it */
bool released[ENTRIES];
byte owner[SLOTS];                             /* 0, or (entry + 1) * 16 + epoch */
byte seq[SLOTS], sum[SLOTS], redo_at[SLOTS], redo_bucket[SLOTS], redo_sum[SLOTS];
byte bucket[SLOTS * BUCKETS];

bool killed[WORKERS], gone[WORKERS];
byte started, acknowledged, kills;
byte left = WORKERS;

#ifdef ONE_LOCK_BYTE
#define LIVE(e) claim_byte[e]
#else
#define LIVE(e) live_byte_[e]
#endif

/* The kernel: with the address space go its locks, all at once. */
inline drop_locks(who) {
  d_step {
    int at = 0;
    do
    :: at < ENTRIES ->
       if :: claim_byte[at] == who + 1 -> claim_byte[at] = 0 :: else fi;
       if :: live_byte_[at] == who + 1 -> live_byte_[at] = 0 :: else fi;
       at++
    :: else -> break
    od;
    at = 0
  }
}

inline complete_redo(s) {
  q = seq[s];
  if
  :: q % 2 == 1 ->
     x = redo_bucket[s]; bucket[s * BUCKETS + redo_at[s]] = x;
     x = redo_sum[s]; sum[s] = x;
     seq[s] = q + 1
  :: else
  fi;
  q = 0; x = 0
}

/* BegunClaim, ProcessEntry::claim() */
inline claim_entry(me) {
  e = 0;
  do
  :: e == ENTRIES -> break
  :: e < ENTRIES ->
     if
     :: atomic { claim_byte[e] == 0 -> claim_byte[e] = me + 1 };
        old = epoch[e];
        epoch[e] = old | 1;
        released[e] = false;
        gauge[e] = 0; /* prepare(), reset_gauges() */
#ifdef CLAIMER_COMPLETES_REDO
        s = 0;
        do
        :: s < SLOTS ->
           if :: old != 0 && owner[s] == (e + 1) * 16 + old -> complete_redo(s) :: else fi;
           s++
        :: else -> break
        od;
#endif
#ifdef ONE_LOCK_BYTE
        has_live = true;
#else
        if
        :: atomic { live_byte_[e] == 0 -> live_byte_[e] = me + 1; has_live = true }
        :: atomic { live_byte_[e] != 0 -> claim_byte[e] = 0 }
        fi;
#endif
        if
        :: has_live ->
           epoch[e] = (old | 1) + 1;
           mine = (e + 1) * 16 + (old | 1) + 1;
           break
        :: else
        fi
     :: claim_byte[e] != 0
     fi;
     e++
  od
}

/* claim_thread_slot(), Obituary::is_dead(), claim_slot(): only the winner of the exchange writes to the slot */
inline claim_slot() {
  s = 0;
  do
  :: s == SLOTS -> break
  :: s < SLOTS ->
     o = owner[s];
     is_dead = (o == 0);
     if
     :: o != 0 && o != mine ->
        x = epoch[o / 16 - 1];
        is_dead = (x != o % 16);
        if
        :: !is_dead -> is_dead = (LIVE(o / 16 - 1) == 0)
        :: else
        fi
     :: else
     fi;
     if
     :: is_dead ->
        atomic {
          if
          :: owner[s] == o -> owner[s] = mine; has_slot = true
          :: else
          fi
        };
        if
        :: has_slot -> complete_redo(s); break
        :: else
        fi
     :: else
     fi;
     s++
  od
}

/* observe() */
inline observe() {
#if BUCKETS > 1
  if :: b = 0 :: b = 1 fi;
#endif
  started++;
  q = (seq[s] + 1) | 1;
  x = bucket[s * BUCKETS + b] + 1;
  y = sum[s] + 1;
  redo_at[s] = b;
  redo_bucket[s] = x;
  redo_sum[s] = y;
  seq[s] = q;
  bucket[s * BUCKETS + b] = x;
  sum[s] = y;
  seq[s] = q + 1;
  acknowledged++;
  q = 0; x = 0; y = 0; b = 0 /* equal states look equal */
}

proctype Worker(byte me) {
  byte e, s, b, old, o, q, x, y, mine, n;
  bool has_live, has_slot, is_dead;
  {
    claim_entry(me);
    if
    :: mine != 0 ->
       e = 0; old = 0; has_live = false;
#ifdef GAUGES
       gauge[mine / 16 - 1] = me + 1; /* Gauge::set() */
#else
       claim_slot();
       o = 0; is_dead = false; x = 0;
       if
       :: has_slot ->
          do
          :: n < OBSERVATIONS -> observe(); n++
          :: else -> break
          od;
          if
          :: owner[s] = 0 /* give_back_slot(), then release() */
          :: skip         /* exit while the thread still has it */
          fi
       :: else
       fi;
#endif
       released[mine / 16 - 1] = true
    :: else
    fi;
    atomic {
      gone[me] = true; left--; drop_locks(me);
      e = 0; s = 0; mine = 0; n = 0; old = 0; has_live = false; has_slot = false
    }
  } unless {
    killed[me] -> d_step { /* what it had in mind went with it: equal states look equal */
      e = 0; s = 0; b = 0; old = 0; o = 0; q = 0; x = 0; y = 0; mine = 0; n = 0;
      has_live = false; has_slot = false; is_dead = false
    }
  }
}

proctype Killer() {
  byte victim;
  do
  :: kills < KILLS && victim < WORKERS ->
     atomic {
       if
       :: !killed[victim] && !gone[victim] -> killed[victim] = true; left--; kills++; drop_locks(victim)
       :: true
       fi;
       victim++
     }
  :: else -> break
  od
}

#ifdef GAUGES
/* copy_worker() */
proctype Reader() {
  byte e, first_epoch, shown, n;
  bool was_dead[WORKERS], is_live;
  do
  :: n < SCRAPES ->
     d_step {
       e = 0;
       do
       :: e < WORKERS -> was_dead[e] = killed[e] || gone[e]; e++
       :: else -> break
       od;
       e = 0
     }
     do
     :: e < ENTRIES ->
        first_epoch = epoch[e];
        is_live = (first_epoch % 2 == 0 && first_epoch != 0 && !released[e]);
        if :: is_live -> is_live = (LIVE(e) != 0) :: else fi;
        shown = gauge[e];
        if
        :: is_live && epoch[e] == first_epoch && shown != 0 -> assert(!was_dead[shown - 1]) /* no stale gauge */
        :: else
        fi;
        first_epoch = 0; is_live = false; shown = 0;
        e++
     :: else -> break
     od;
     atomic {
       e = 0;
       do
       :: e < WORKERS -> was_dead[e] = false; e++
       :: else -> break
       od;
       e = 0
     };
     n++
  :: else -> break
  od
}
#else

inline copy_cells() {
  s1 = seq[s];
  y = sum[s]; b0 = bucket[s * BUCKETS];
#if BUCKETS > 1
  b1 = bucket[s * BUCKETS + 1]
#endif
}

inline overlay() {
  if
  :: s1 % 2 == 1 ->
     r = redo_at[s];
     x = redo_bucket[s];
     y = redo_sum[s];
     if :: r == 0 -> b0 = x :: else -> b1 = x fi
  :: else
  fi
}

/* copy_observed(), overlay_redo() */
proctype Reader() {
  byte s, s1, b0, b1, y, r, x, total, acknowledged_before, n;
  byte last_b0[SLOTS], last_b1[SLOTS], last_sum[SLOTS];
  do
  :: n < SCRAPES ->
     acknowledged_before = acknowledged;
     do
     :: s < SLOTS ->
        copy_cells();
        overlay();
        if
        :: seq[s] == s1 -> assert(b0 + b1 == y) /* all or nothing */
        :: else ->                              /* as if it had been the last try */
           copy_cells();
#ifdef OVERLAY_AFTER_BOUND
           overlay();
#endif
        fi;
        d_step {
          assert(b0 >= last_b0[s] && b1 >= last_b1[s] && y >= last_sum[s]); /* nothing goes down */
          last_b0[s] = b0; last_b1[s] = b1; last_sum[s] = y;
          total = total + b0 + b1;
          s1 = 0; b0 = 0; b1 = 0; y = 0; r = 0; x = 0;
          s++
        }
     :: else -> break
     od;
     atomic {
       assert(acknowledged_before <= total && total <= started);
       s = 0; total = 0; acknowledged_before = 0;
       n++
     }
  :: else -> break
  od
}
#endif

/* When nobody is left: acknowledged <= counted <= acknowledged + one a kill, with open records laid over. */
proctype Auditor() {
  byte s, counted, live;
  atomic {
    left == 0;
    do
    :: s < SLOTS ->
       if
       :: seq[s] % 2 == 1 -> counted = counted + redo_sum[s]
       :: else ->
          counted = counted + sum[s];
#if BUCKETS == 1
          assert(bucket[s] == sum[s])
#endif
       fi;
       s++
    :: else -> break
    od;
    assert(acknowledged <= counted && counted <= started && started - acknowledged <= kills);
    s = 0;
    do
    :: s < ENTRIES -> live = live + claim_byte[s] + live_byte_[s]; s++
    :: else -> break
    od;
    assert(live == 0) /* every entry can be claimed again */
  }
}

init {
  byte i;
  atomic {
    do
    :: i < WORKERS -> run Worker(i); i++
    :: else -> break
    od;
    run Killer();
    run Reader();
    run Auditor()
  }
}
