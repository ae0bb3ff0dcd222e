"""What happens inside one process; see `scripts`."""
