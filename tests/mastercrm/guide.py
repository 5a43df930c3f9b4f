"""What metrics-guide.md, the guide that MasterCRM is built to, asks for; and reading a scrape against it."""
import json
import pathlib
import re

TEXT = (pathlib.Path(__file__).parent / "metrics-guide.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def families():
    """{name: (kind, set of label names)} of the guide's tables."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| [^|]+ \| ([^|]+) \|$", TEXT, re.MULTILINE)
    return {name: (kind.lower(), set(re.findall(r"\w+", labels))) for name, kind, labels in rows}


def queries():
    """(title, PromQL) of the guide's examples, each as it is printed."""
    for block in blocks("promql"):
        yield from re.findall(r"^# (.*)\n((?:[^#\n].*\n|\n(?!#))+)", block, re.MULTILINE)


def panel_queries():
    """(title, PromQL) of the panels of the guide's dashboard."""
    for panel in json.loads(blocks("json")[0])["dashboard"]["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def kinds_of(scrape):
    return dict(re.findall(r"^# TYPE (\w+) (\w+)$", scrape, re.MULTILINE))


def samples_of(scrape):
    """(name, {label: value}, number) of each sample."""
    for name, labels, number in re.findall(r"^(\w+)(?:\{(.*)\})? (\S+)$", scrape, re.MULTILINE):
        yield name, dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels)), float(number)


def total(scrape, name, **labels):
    """The sum of the series of a name that have these labels."""
    return sum(number for sample, found, number in samples_of(scrape)
               if sample == name and labels.items() <= found.items())
