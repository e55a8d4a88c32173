"""`python -m pizzeria.cli`, which is the command `pizzeria`."""

from pizzeria.cli import main

main()
