"""The process `graphlab`, also as `python -m graphlab`."""

import os
import sys


def start() -> None:
    """The console script."""
    from graphlab.cli import main

    main(last=True)


if __name__ == "__main__":
    if not sys.flags.safe_path:
        # Here `python -m` has put the current folder, and the program's own will be: but a json.py
        # of the user's is for the program, not for us. A file in its place is no folder to search.
        sys.path[0] = __file__
        home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        if home not in sys.path:
            # A checkout that is found for being the current folder alone.
            sys.path.append(home)
    start()
