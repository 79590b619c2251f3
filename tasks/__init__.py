"""The steps of a flow: thin, I/O at the edges, decisions in the middle."""
