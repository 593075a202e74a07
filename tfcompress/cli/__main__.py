"""`python -m tfcompress.cli`: the command, where its script is not on the path."""

from tfcompress.cli import main

main()
