"""python -m graphlab"""

from graphlab.cli import main

main()
