"""Adds up what tests/run.sh left in its log directory, and says it in one closing line.

usage: summarize.py DIRECTORY   with stages.tsv (name, result) and a JUnit file of ctest for each preset
"""
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree


def skip_reason(case):
    """The line under googletest's [  SKIPPED ] location, or what ctest says."""
    output = case.findtext("system-out") or ""
    said = re.search(r"Skipped\n(.+)", output) or re.search(r"(?im)^skip\w*:? *(.+)$", output)
    if said:
        return said.group(1).strip()
    return "disabled" if case.get("status") == "disabled" else case.find("skipped").get("message")


def outcome(case):
    """ctest marks a test that it could not start as not run, as it does a skipped one: that is a failure here."""
    status = case.get("status")
    if status == "run":
        return "passed"
    skipped = case.find("skipped")
    said = skipped.get("message", "") if skipped is not None else ""
    if status == "disabled" or (status == "notrun" and said.startswith("SKIP")):
        return "skipped"
    return "failed"


def last_words(case):
    """The end of a failed test's output, which CI shows and a log that is gone does not."""
    lines = (case.findtext("system-out") or "no output").rstrip().splitlines()
    return [line[:200] for line in lines[-25:]]  # some hold a whole scrape


def is_told(stage, failed):
    """Whether it is a stage of tests, and its failures have been counted one by one."""
    tests = stage.removesuffix("-tests")
    return tests != stage and any(name.startswith((f"{tests}: ", f"{tests}-")) for name in failed)


def main(directory):
    results = {"passed": [], "failed": [], "skipped": []}
    times = []
    outputs = {}  # of the tests that failed
    for path in sorted(directory.glob("*.xml")):
        for case in ElementTree.parse(path).getroot().iter("testcase"):
            name = f"{path.stem}: {case.get('name')}"
            kind = outcome(case)
            results[kind].append(f"{name}: {skip_reason(case)}" if kind == "skipped" else name)
            times.append((float(case.get("time") or 0), name))
            if kind == "failed":
                outputs[name] = last_words(case)
    ran = len(results["passed"]) + len(results["failed"])

    # A stage counts as a test of its own, unless its tests have been counted.
    for line in (directory / "stages.tsv").read_text().splitlines():
        name, result = line.split("\t")
        if result == "failed" and not is_told(name, results["failed"]):
            results["failed"].append(f"stage {name}")
        elif result == "ok" and name in ("format", "shell", "tidy", "fuzz-replay", "fuzz"):
            results["passed"].append(f"stage {name}")
        elif result == "skipped":
            said = (directory / f"{name}.log").read_text().splitlines()
            results["skipped"].append(f"stage {name}: {said[-1] if said else 'no reason'}")

    if times:
        print("slowest tests:")
        for seconds, name in sorted(times, reverse=True)[:5]:
            print(f"  {seconds:7.2f} s  {name}")
    for kind in ("skipped", "failed"):
        for name in results[kind]:
            print(f"{kind}: {name}", *outputs.get(name, []), sep="\n  | ")
    print(", ".join(f"{len(results[kind])} {kind}" for kind in ("passed", "failed", "skipped")))
    return 1 if results["failed"] or ran == 0 else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(pathlib.Path(sys.argv[1])))
