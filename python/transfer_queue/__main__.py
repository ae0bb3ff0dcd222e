"""``python -m transfer_queue``: the program ``tq``."""

from transfer_queue_program import main

main()
