"""`python -m encompass`: the same as the `encompass` command."""

from encompass.cli import main

main()
