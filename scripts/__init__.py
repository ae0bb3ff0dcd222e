"""House rules that no compiler checks. Each module is a program and a set of functions."""
