"""Print what the hub depends on, for a layer of the image that changes only with it."""

import sys
import tomllib
from pathlib import Path

if __name__ == "__main__":
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    needed = project["dependencies"] + project["optional-dependencies"]["postgres"]
    sys.stdout.write("\n".join(needed) + "\n")
