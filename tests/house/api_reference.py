"""Prints docs/api.md: the public API, from the headers' own comments and declarations.

usage: api_reference.py REPOSITORY > docs/api.md
"""
import pathlib
import re
import sys

HEADERS = ("client/include/shmetrics/shmetrics.hpp", "client/include/shmetrics/labels.hpp",
           "client/include/shmetrics/buckets.hpp", "client/include/shmetrics/route.hpp",
           "client/include/shmetrics/handles.hpp", "collector/c/include/shmetrics/reader.hpp",
           "client/testing/include/shmetrics/testing.hpp")
COMMAND = "python3 tests/house/api_reference.py . > docs/api.md"
TYPE = re.compile(r"(?:template <[^>]*>\s*)?(class|struct|enum class)\s+(?:\[\[\w+\]\]\s+)?(\w+(?:<[^{:]*>)?)")


class Declaration:
    """`comment`: its /// lines. `source`: what the header says, with bodies. `is_apart`: behind an empty line."""

    def __init__(self, comment, source, is_apart):
        self.comment = comment
        self.source = source
        self.is_apart = is_apart

    def type_name(self):
        found = TYPE.match(self.source)
        return found.group(2) if found and "{" in self.source else None

    def is_enum(self):
        return self.source.startswith("enum")

    def members(self):
        """The public ones of a class or struct."""
        inside = self.source[self.source.index("{") + 1:self.source.rindex("}")]
        public = TYPE.match(self.source).group(1) == "struct"
        for part in re.split(r"^ *((?:public|private|protected):)\n", inside, flags=re.MULTILINE):
            if part.endswith(":") and part[:-1] in ("public", "private", "protected"):
                public = part == "public:"
            elif public:
                yield from declarations(part)


def end_of(text):
    """Where the declaration that `text` begins with ends: at a semicolon, or behind a function's body."""
    depth = opened = 0
    for at, character in enumerate(text):
        if character in "({":
            opened = at if depth == 0 else opened
            depth += 1
        elif character in ")}":
            depth -= 1
            is_body = character == "}" and depth == 0 and ")" in text[:opened] and not TYPE.match(text)
            if is_body and not text[at + 1:].startswith(";"):
                return at + 1
        elif character == ";" and depth == 0:
            rest = re.match(r";( *///<[^\n]*)?", text[at:])
            return at + rest.end()
    raise ValueError("no end: " + text[:200])


def declarations(text):
    """Declarations of one scope, in order, with the comment that stands right above each."""
    comment, is_apart = [], False
    while text:
        line = text.split("\n", 1)[0]
        stripped = line.strip()
        if stripped.startswith("///") or not stripped or stripped.startswith(("//", "#")):
            if stripped.startswith("///"):
                comment.append(stripped[3:].removeprefix(" "))
            elif stripped.startswith("//"):
                comment = []
            is_apart = is_apart or not stripped
            text = text[len(line) + 1:]
            continue
        end = end_of(text.lstrip())
        source = text.lstrip()[:end]
        text = text.lstrip()[end:].removeprefix("\n")
        yield Declaration(comment, source, is_apart)
        comment, is_apart = [], False


def namespace_of(header):
    """The text inside the header's namespace, without detail and preprocessor lines."""
    begin = re.search(r"^namespace shmetrics(::\w+)? \{\n", header, re.MULTILINE)
    inside = header[begin.end():header.index("}  // namespace shmetrics" + (begin.group(1) or "") + "\n")]
    return re.sub(r"^namespace detail \{\n.*?^\}  // namespace detail\n", "", inside, flags=re.MULTILINE | re.DOTALL)


def signature(source):
    """A declaration without attributes of ours and without body or initialiser list."""
    source = re.sub(r"\bSHMETRICS_(API|FAST_TLS) ?", "", source)
    source = re.sub(r"///<", "//", source)
    depth = 0
    for at, character in enumerate(source):
        if character in "(<":
            depth += 1
        elif character in ")>":
            depth -= 1
        elif depth == 0 and ")" in source[:at] and (character == "{" or source[at:at + 3] == " : "):
            return source[:at].rstrip() + ";"
    return source


def dedented(text, indent):
    return re.sub(r"(?<=\n) {%d}" % indent, "", text)


def is_hidden(declaration):
    source = signature(declaration.source)
    return "detail::" in source or source.startswith(("friend class", "static_assert"))


def synopsis(declaration):
    """A class as its users see it: public members with their comments, without bodies."""
    head = declaration.source[:declaration.source.index("{")].rstrip()
    is_class = TYPE.match(head).group(1) == "class"
    lines = [signature(head) + " {"] + ([" public:"] if is_class else [])
    first = len(lines)
    for member in declaration.members():
        if is_hidden(member):
            continue
        if (member.comment or member.is_apart) and len(lines) > first:
            lines.append("")
        lines += ["  // " + line if line else "  //" for line in member.comment]
        lines += ["  " + line for line in dedented(signature(member.source), 2).split("\n")]
    return "\n".join(lines + ["};"])


def code_of(declaration):
    if declaration.type_name() and not declaration.is_enum() and "(" in re.sub(r"//.*", "", declaration.source):
        return synopsis(declaration)
    return signature(declaration.source)


def name_of(declaration):
    if declaration.type_name():
        return declaration.type_name()
    found = re.search(r"(?:using (\w+) =|(\w+)\(|(\w+) =)", signature(declaration.source))
    return next(name for name in found.groups() if name)


def prose(lines):
    return "\n".join(lines).replace("<", "\\<")


def introduction(header):
    """The comment that the header begins with; what stands before two blanks is its heading."""
    lines = []
    for line in header.split("\n"):
        if not line.startswith("//"):
            break
        lines.append(re.sub(r"^([A-Z][\w ]*\.)  ", r"**\1** ", line[2:].strip()))
    return lines


def reference(root):
    page = ["# The API", "", "Made from the headers' own comments, which are the contract. To refresh this page:", "",
            "```bash", COMMAND, "```", "", "`detail` is left out: nothing in it is for programs to name.", ""]
    for path in HEADERS:
        header = (root / path).read_text()
        page += [f"## [{path.split('include/')[1]}](../{path})", "", prose(introduction(header)), ""]
        for declaration in declarations(namespace_of(header)):
            if is_hidden(declaration) and not declaration.type_name() or declaration.source.endswith("class Registry;"):
                continue
            page += [f"### `{name_of(declaration)}`", ""]
            page += [prose(declaration.comment), ""] if declaration.comment else []
            page += ["```c++", code_of(declaration), "```", ""]
    return "\n".join(page).rstrip() + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.stdout.write(reference(pathlib.Path(sys.argv[1])))
