"""Starts the command line, as `graphlab` or `python -m graphlab`."""

import os
import sys


def start() -> None:
    """The console script."""
    from graphlab.cli import main

    main(last=True)


if __name__ == "__main__":
    if not sys.flags.safe_path:
        # `python -m` has put the current folder first, where a json.py of the user's would be found
        # instead of Python's. A file in its place is skipped by the import system.
        sys.path[0] = __file__
        home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        if home not in sys.path:
            # A checkout that could only be imported because it is the current folder.
            sys.path.append(home)
    start()
