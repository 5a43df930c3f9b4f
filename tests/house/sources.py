"""The files of the repository: those that git tracks, and new ones that it does not ignore."""
import pathlib
import subprocess


def repository_files(root):
    """Paths relative to `root`. Without git (a source archive) everything but build directories and dot folders."""
    git = ["git", "-c", "safe.directory=*", "-C", root]
    listed = subprocess.run(git + ["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        names = [name for name in listed.stdout.split("\0") if name]
        return sorted(name for name in names if (pathlib.Path(root) / name).is_file())
    paths = (path.relative_to(root) for path in pathlib.Path(root).rglob("*") if path.is_file())
    return sorted(str(path) for path in paths if path.parts[0] not in ("build", ".git"))
