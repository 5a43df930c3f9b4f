"""What the tests of the house look at: the paths of their command lines, and the files of the repository."""
import pathlib
import subprocess
import sys


def paths(usage, count):
    """The paths on the command line, which are taken from it: unittest reads the rest."""
    if len(sys.argv) != count + 1:
        sys.exit(usage)
    given = [pathlib.Path(path).resolve() for path in sys.argv[1:]]
    del sys.argv[1:]
    return given


def repository_files(root):
    """Those that git tracks, and new ones that it does not ignore, relative to `root`. Without git (a source archive)
    everything but build directories and dot folders."""
    git = ["git", "-c", "safe.directory=*", "-C", root]
    listed = subprocess.run(git + ["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        names = [name for name in listed.stdout.split("\0") if name]
        return sorted(name for name in names if (pathlib.Path(root) / name).is_file())
    found = (path.relative_to(root) for path in pathlib.Path(root).rglob("*") if path.is_file())
    return sorted(str(path) for path in found if path.parts[0] not in ("build", ".git"))
