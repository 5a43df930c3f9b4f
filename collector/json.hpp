// A segment as one JSON object (RFC 8259), for scripts. The keys are a contract: they are added to, never renamed.
//
//   {"segment": {"path", "id", "layout_version", "created", "state", "cells": {"used", "limit"},
//                "directory_bytes": {"used", "limit"}},
//    "workers": [{"worker", "state", "pid", "program", "started", "adopted", "deaths", "slots"}],
//    "families": [{"name", "type", "help", "unit", "labels", "mode", "generations": [...], "series": [...]}]}
//
// segment.state  "up"; "damaged" when something was left out because no writer leaves such bytes (`shmetrics check`
//                says what). Of a segment that cannot be read the exporter says {"path", "state": "down", "problem"},
//                without workers and families; `shmetrics dump` writes no JSON for it.
// workers        every entry that was ever claimed, by number; state is live, dead or released.
// labels, mode, unit  of a family: label names in their order; the mode of a gauge, else null; null without a unit.
// generations    of a family that has several schemas, which are added up, else there is no such key: {"entry",
//                "labels", "bounds", "mode", "cell_kind", "series"}, the oldest first. `entry` is of the directory,
//                `cell_kind` is unsigned or double, `series` is how many label sets it has.
// series         {"labels": {}, "value"}, with the label `worker` in the modes `all` and `liveall`; of a histogram
//                {"labels": {}, "buckets": [[le, cumulative], ...], "sum", "count"}; of a summary the same without
//                "buckets".
//
// Times are RFC 3339 in UTC. Unsigned counts are integers in all their digits, up to 2^64 - 1. What JSON has no number
// for is a string: "NaN", "+Inf", "-Inf"; `le` of the last bucket is "+Inf".
//
// Threads: the scraper's. Failure: what the output throws. Lifetime: a call keeps nothing.
#pragma once

#include "collector/scraper.hpp"
#include "collector/text_output.hpp"

namespace shmetrics::collector {

/// Writes the object: a line for the segment, one a worker, one a family. Of the scraper's last read(), whose status
/// this is; families that are not wanted are left out. All is flushed.
void render_json(const Scraper& scraper, const SegmentStatus& status, const Wanted& wanted, TextOutput& out);

}  // namespace shmetrics::collector
