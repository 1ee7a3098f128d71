"""Make digits.gz from scikit-learn's copy of the UCI digits.

    python tools/make_digits.py          compare the digits.gz of the lab with scikit-learn's
    python tools/make_digits.py FILE     write a new one; FILE must not exist

The content is one byte a pixel, 0 to 16, image after image, row by row, then one byte a label.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

SHIPPED = Path(__file__).parents[1] / "graphlab" / "lab" / "data" / "digits.gz"


def content() -> bytes:
    """1,797 images of 64 bytes each, then 1,797 labels of one byte."""
    from sklearn.datasets import load_digits  # pyright: ignore[reportMissingImports]

    images, labels = load_digits(return_X_y=True)
    return images.astype("uint8").tobytes() + labels.astype("uint8").tobytes()


def main(argv: list[str]) -> int:
    if len(argv) > 1 or argv[:1] in (["-h"], ["--help"]):
        print(__doc__)
        return 0 if len(argv) == 1 else 2
    if not argv:
        same = gzip.decompress(SHIPPED.read_bytes()) == content()
        print(f"{SHIPPED.name} {'is' if same else 'is not'} what scikit-learn has")
        return 0 if same else 1
    # Mode "x" refuses an existing file; mtime 0 keeps the same content the same file.
    with open(argv[0], "xb") as file:
        file.write(gzip.compress(content(), 9, mtime=0))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
