"""`python -m perwatt`."""

from perwatt.cli import main

main()
