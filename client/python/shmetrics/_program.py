"""What the worker table calls this process: the script or the module, for the executable is python3 in all of them."""
import os
import sys

from ._core import set_program


def _name() -> str:
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    if spec is not None:
        return str(spec.name).removesuffix(".__main__")
    return os.path.basename(sys.argv[0] if getattr(sys, "argv", None) else "")  # an embedded interpreter has none


def name_program(name: str = "") -> None:
    name = name or _name()
    if name and not name.startswith("-") and "\0" not in name:  # `python3 -c` has no name
        set_program(name)


name_program()
