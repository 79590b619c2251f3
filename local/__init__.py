"""Everything on one machine: what `make up`, `make down` and `make demo` start, stop and play.

The outermost room: it may use any other, and none uses it. Production runs the same programs under its own
supervisor (docs/operate.md); nothing here is needed for that.
"""
