"""What is decided: pure functions and values over data frames; no I/O, no clock, no randomness without a seed."""
